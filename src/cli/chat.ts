/**
 * `rookery chat`: a chat in the terminal, over the SDK. Each line is a message; `/help` lists what else there is. With input
 * from a pipe it sends each line, says `✓` for each on stdout, and ends when all are in the log; states go to stderr.
 */
import { createInterface, type Interface } from 'node:readline';
import type { Command } from 'commander';
import type { MessageContent } from '../domain/conversation.ts';
import { type ConversationId, directConversationId, directPair, parseUserId, type UserId } from '../domain/ids.ts';
import { RookeryError } from '../protocol/error-codes.ts';
import type { Client, Entry, Role, Sending, Status, Target } from '../sdk/index.ts';
import { ReadMarks } from './chat-marks.ts';
import { deviceIn, stateFolder } from './chat-state.ts';

const DEFAULT_URL = 'ws://127.0.0.1:7700/v1/ws';
/** Input from a pipe that has ended waits so long for its last acks; then what is left goes out at the next start. */
const FLUSH_WITHIN_MS = 30_000;
const TOKEN_WITHIN_MS = 10_000;

const HELP = `a line is a message; //… one that begins with a slash; what is shown counts as read where you write to
/to NAME · /group ID                      whom to write to
/create ID NAME [MEMBERS…]                a group; "a name in quotes" may have spaces
/add NAMES… · /remove NAMES… · /role NAME owner|admin|member
/rename NAME · /leave · /dissolve · /who
/block [NAME] · /unblock [NAME] · /quit`;

const EXAMPLES = `
Examples:
  rookery chat --as alice --to bob          a line is a message to bob; /help lists what else there is
  rookery chat --as alice                   /to bob turns to bob, /group team-7 to a group
  rookery chat --as alice --group team-7
  echo 'it is done' | rookery chat --as ci --to alice

  ✓  what you wrote is in the log: acked, and so it stays. It does not say that anybody has read it.`;

interface ChatOptions {
  readonly as: string;
  readonly to?: string;
  readonly group?: string;
  readonly url: string;
  readonly token?: string;
  readonly state: string;
}

export function registerChat(program: Command): void {
  program
    .command('chat')
    .description('chat in this terminal, or send each line of a pipe')
    .requiredOption('--as <user>', 'who you are')
    .option('--to <user>', 'whom to write to')
    .option('--group <id>', 'which group to write to')
    .option('--url <url>', 'of the gateway', DEFAULT_URL)
    .option('--token <jwt>', 'default: asked of the gateway, which gives one in development')
    .option(
      '--state <dir>',
      'folder for outbox, cursor and device id, of each gateway its own: a restart goes on where this one ends',
      'data/chat',
    )
    .addHelpText('after', EXAMPLES)
    .action(async (options: ChatOptions) => {
      const { createClient } = await import('../sdk/index.ts');
      const { FileStorage } = await import('../sdk/node/file-storage.ts');
      const me = parseUserId(options.as);
      if (!me) throw new RookeryError('BAD_ID', '--as must be 1 to 128 bytes of UTF-8');
      if (options.to !== undefined && options.group !== undefined) {
        throw new RookeryError('BAD_REQUEST', 'either --to or --group: a line goes to one place');
      }
      if (options.token !== undefined) checkUser(options.token, me);
      const { dir, left } = stateFolder(options.state, options.url, me);
      if (left) console.error(`— ${left}`);
      const storage = await FileStorage.open(dir);
      if (storage.damage) console.error(`— ${storage.damage}`);
      const { url, token } = options;
      const client = await createClient({
        url,
        token: token ?? (() => devToken(url, me)),
        device: deviceIn(dir),
        storage,
        agent: 'rookery-chat',
      });
      const chat = new Chat(client, me, options);
      process.exitCode = (await chat.run()) ? 0 : 1;
    });
}

/** A token speaks for its own user: what is written here must not go out under another name. @throws RookeryError TOKEN_INVALID */
function checkUser(token: string, me: UserId): void {
  let user: unknown;
  try {
    user = JSON.parse(Buffer.from(token.split('.')[1] ?? '', 'base64url').toString()).sub;
  } catch {
    throw new RookeryError('TOKEN_INVALID', '--token is no JWT');
  }
  if (user !== me) throw new RookeryError('TOKEN_INVALID', `the token is for ${String(user)}, not for ${me}`);
}

async function devToken(url: string, user: UserId): Promise<string> {
  const { protocol, host } = new URL(url);
  const answer = await fetch(`${protocol.replace('ws', 'http')}//${host}/v1/dev/token`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ user }),
    signal: AbortSignal.timeout(TOKEN_WITHIN_MS),
  }).catch((cause: Error) => {
    throw new Error(`nobody answers at ${host}; does \`make dev\` run?`, { cause });
  });
  if (!answer.ok) throw new Error(`the gateway gives no token (HTTP ${answer.status}); use --token`);
  return ((await answer.json()) as { token: string }).token;
}

class Chat {
  readonly #client: Client;
  readonly #me: UserId;
  readonly #lines: Interface;
  readonly #isTerminal = process.stdin.isTTY === true;
  /** Sent from here and not yet seen in the inbox: it stands on the screen already. Bounded by what is on its way. */
  readonly #own = new Set<string>();
  readonly #marks: ReadMarks;
  #target: Target | undefined;
  #unsent = 0;
  #hasSent = false;
  #allTaken = true;
  #inputEnded = false;
  #isClosing = false;
  #wasOffline = false;
  /** Why we are offline, as it was told last; said again only when it is another reason. */
  #toldReason: string | undefined;
  /** What was asked is answered. */
  #answered: Promise<void> = Promise.resolve();

  constructor(client: Client, me: UserId, { to, group }: ChatOptions) {
    this.#client = client;
    this.#me = me;
    this.#target = to !== undefined ? { to } : group !== undefined ? { conversation: group } : undefined;
    this.#marks = new ReadMarks((conversation, upTo) => client.markRead(conversation, upTo));
    this.#marks.opened(this.#open);
    this.#lines = createInterface({ input: process.stdin, output: process.stdout, terminal: this.#isTerminal });
  }

  /** Until the input ends. False when something of a pipe was refused, or is still to be sent. */
  async run(): Promise<boolean> {
    const client = this.#client;
    client.on('entry', (conversation, entry) => this.#show(conversation, entry));
    client.on('status', (status) => this.#tellStatus(status));
    client.on('resync', (reason) => this.#tell(`reading the past anew (${reason})`));
    client.on('gap', (_conversation, { lost }) => this.#tell(lost ? 'entries are missing' : 'reading the inbox anew'));
    client.on('rejected', (_conversation, { code }) => this.#refused(code));
    client.on('failed', (error) => this.#tell(`stopped: ${String(error)}`));
    client.start();
    if (this.#isTerminal) this.#print(this.#target ? 'type a message, or /help' : 'type /to NAME to begin, or /help');
    for await (const line of this.#lines) {
      if (line.trim() === '/quit') break;
      try {
        this.#take(line.trimEnd());
      } catch (error) {
        this.#refused(String((error as Error).message));
      }
      this.#prompt();
    }
    this.#inputEnded = true;
    this.#lines.close();
    this.#marks.flush();
    if (!this.#isTerminal) await this.#flushed();
    this.#isClosing = true;
    await client.close();
    if (client.outboxSize > 0) this.#tell(`${client.outboxSize} not sent yet: they go out at the next start`);
    return this.#isTerminal || (this.#allTaken && client.outboxSize === 0);
  }

  async #flushed(): Promise<void> {
    let timer: ReturnType<typeof setTimeout> | undefined;
    const bound = new Promise<void>((resolve) => {
      timer = setTimeout(resolve, FLUSH_WITHIN_MS);
    });
    await Promise.race([Promise.all([this.#client.flushed(), this.#answered]), bound]);
    clearTimeout(timer);
  }

  #take(line: string): void {
    if (line.trim() === '') return;
    if (line.startsWith('/') && !line.startsWith('//')) return this.#command(line.slice(1));
    if (!this.#target) throw new Error('to whom? /to NAME or /group ID');
    const text = line.startsWith('//') ? line.slice(1) : line;
    const sending = this.#client.sendText(this.#target, text);
    this.#own.add(sending.clientMsgId);
    this.#follow(sending, this.#isTerminal ? '' : `✓ ${clean(text)}`);
  }

  /** Says when the log has it, or why not; does not hold up the next line. */
  #follow({ clientMsgId, durable }: Sending, done: string): void {
    this.#unsent += 1;
    this.#hasSent = true;
    const ended = (): void => {
      this.#unsent -= 1;
      this.#prompt();
    };
    durable.then(
      () => {
        if (done !== '') this.#print(done);
        ended();
      },
      (error: { code: string; message: string }) => {
        this.#own.delete(clientMsgId);
        // It goes out at the next start.
        if (error.code !== 'CLIENT_CLOSED') this.#refused(error.message);
        ended();
      },
    );
  }

  #command(line: string): void {
    const [name = '', ...words] = wordsOf(line);
    const [first = ''] = words;
    const client = this.#client;
    const commands: Record<string, () => void> = {
      to: () => this.#aim({ to: first }),
      group: () => this.#aim({ conversation: first }),
      create: () => {
        const [id = '', title = id, ...members] = words;
        const creating = client.createGroup(id, title, members);
        this.#follow(creating, `group ${clean(id)} created`);
        const before = this.#target;
        this.#aim({ conversation: id });
        // Refused, it is somebody else's group: what is typed next must not go there.
        creating.durable.catch(() => before && this.#aim(before));
      },
      add: () => this.#follow(client.addMembers(this.#group(), words), 'added'),
      remove: () => this.#follow(client.removeMembers(this.#group(), words), 'removed'),
      role: () => this.#follow(client.changeRole(this.#group(), first, words[1] as Role), 'role changed'),
      leave: () => this.#follow(client.leaveGroup(this.#group()), 'left'),
      rename: () => this.#follow(client.renameGroup(this.#group(), words.join(' ')), 'renamed'),
      dissolve: () => this.#follow(client.dissolveGroup(this.#group()), 'dissolved'),
      block: () => this.#follow(client.block(first || this.#peer()), 'blocked'),
      unblock: () => this.#follow(client.unblock(first || this.#peer()), 'unblocked'),
      who: () => this.#ask(() => this.#who()),
      help: () => this.#print(HELP),
    };
    const command = Object.hasOwn(commands, name) ? commands[name] : undefined;
    if (!command) throw new Error(`no command /${clean(name)}; /help lists them`);
    command();
  }

  /** Without a connection it waits; the next lines do not. */
  #ask(question: () => Promise<void>): void {
    const asking = question().catch((error: Error) => this.#refused(error.message));
    this.#answered = this.#answered.then(() => asking);
  }

  async #who(): Promise<void> {
    const id = this.#open;
    if (id === undefined) throw new Error('where? /to NAME or /group ID');
    const { name, members, dissolved, lastIndex } = await this.#client.conversation(id);
    const who = members.map(({ user, role }) => (role === 'member' ? clean(user) : `${clean(user)} (${role})`));
    this.#print(
      `${name ? `${clean(name)}: ` : ''}${who.join(', ')}; ${lastIndex} entries${dissolved ? '; dissolved' : ''}`,
    );
  }

  #aim(target: Target): void {
    const [id] = Object.values(target) as [string];
    if (id === '') throw new Error('a name or an id is missing');
    this.#target = target;
    this.#marks.opened(this.#open);
    this.#tell(`writing to ${'to' in target ? clean(id) : `group ${clean(id)}`}`);
  }

  /** The conversation that is written to. */
  get #open(): ConversationId | undefined {
    if (!this.#target) return undefined;
    if ('to' in this.#target) return directConversationId(this.#me, this.#target.to as UserId);
    return this.#target.conversation as ConversationId;
  }

  #group(): string {
    if (this.#target && 'conversation' in this.#target) return this.#target.conversation;
    throw new Error('only in a group: /group ID');
  }

  #peer(): string {
    if (this.#target && 'to' in this.#target) return this.#target.to;
    throw new Error('whom?');
  }

  #show(conversation: ConversationId, entry: Entry): void {
    const text = textOf(entry);
    if (this.#own.delete(entry.id) || text === '') return;
    const pair = directPair(conversation);
    const peer = pair?.find((user) => user !== this.#me) ?? this.#me;
    const where = !pair ? ` [${clean(conversation)}]` : entry.by === this.#me ? ` [${clean(peer)}]` : '';
    const time = new Date(entry.at).toTimeString().slice(0, 5);
    this.#print(`${time}${where} ${entry.by === this.#me ? 'you' : clean(entry.by)}${text}`);
    if ('n' in entry) this.#marks.shown(conversation, entry.n);
  }

  #refused(why: string): void {
    this.#allTaken = false;
    if (this.#isTerminal) this.#print(`✗ ${clean(why)}`);
    else console.error(`✗ ${clean(why)}`);
  }

  /** About the chat, not of it. */
  #tell(text: string): void {
    if (this.#isTerminal) this.#print(`— ${clean(text)}`);
    else console.error(`— ${clean(text)}`);
  }

  #tellStatus(status: Status): void {
    if (this.#isClosing) return;
    const isOffline = status.phase === 'offline';
    const isKnown = isOffline && status.reason === this.#toldReason;
    const isRetry = status.phase === 'connecting' && this.#wasOffline;
    if (!isKnown && !isRetry) this.#tell(statusText(status));
    this.#wasOffline = isOffline || isRetry;
    if (isOffline) this.#toldReason = status.reason;
    else if (!isRetry) this.#toldReason = undefined;
  }

  /** Above the line that is being typed. */
  #print(text: string): void {
    if (!this.#isTerminal) return console.log(text);
    process.stdout.write(`\r\u001b[J${text}\n`);
    this.#prompt();
  }

  /** The prompt says whom one writes to, and whether all that was sent is in the log. */
  #prompt(): void {
    if (!this.#isTerminal || this.#inputEnded) return;
    const whom = this.#target ? clean(Object.values(this.#target)[0] as string) : '';
    const state = this.#unsent > 0 ? ` (sending ${this.#unsent}…)` : this.#hasSent ? ' ✓' : '';
    this.#lines.setPrompt(`${whom}${state}> `);
    this.#lines.prompt(true);
  }
}

function textOf(entry: Entry): string {
  switch (entry.type) {
    case 'message':
      return `: ${bodyText(entry)}`;
    case 'groupCreated':
      return ` created the group “${clean(entry.name)}” with ${entry.members.map(clean).join(', ') || 'nobody else'}`;
    case 'membersAdded':
      return ` added ${entry.members.map(clean).join(', ')}`;
    case 'membersRemoved':
      return ` removed ${entry.members.map(clean).join(', ')}`;
    case 'memberLeft':
      return ' left';
    case 'roleChanged':
      return ` made ${clean(entry.member)} ${entry.role}`;
    case 'groupRenamed':
      return ` renamed the group to “${clean(entry.name)}”`;
    case 'groupDissolved':
      return ' dissolved the group';
    case 'memberJoined':
      return ' joined';
    case 'memberMuted':
      return ` ${entry.until === 0 ? 'lets' : 'muted'} ${clean(entry.member)}${entry.until === 0 ? ' speak again' : ''}`;
    case 'groupChanged':
      return ` changed ${Object.keys(entry.settings).map(clean).join(', ')}`;
    case 'messageEdited':
      return ` meant: ${bodyText(entry)}`;
    case 'messageRecalled':
      return ` took a message${entry.target.by === entry.by ? '' : ` of ${clean(entry.target.by)}`} back`;
    case 'joinRequested':
      return ` asks to join: ${clean(entry.greeting)}`;
    case 'joinDeclined':
      return ` does not let ${clean(entry.member)} in`;
    default:
      return '';
  }
}

const bodyText = ({ contentType, body }: MessageContent): string =>
  contentType.startsWith('text/')
    ? clean(new TextDecoder().decode(body))
    : `(${clean(contentType)}, ${body.length} bytes)`;

/** What others wrote must not move the cursor, clear the screen, ring the bell or turn the direction of the text. */
const clean = (text: string): string =>
  text
    .replace(/\r?\n/g, ' ⏎ ')
    .replaceAll('\t', ' ')
    .replace(/[\u0000-\u001f\u007f-\u009f\u061c\u200e\u200f\u2028\u2029\u202a-\u202e\u2066-\u2069]/g, '�');

/** Words between spaces; `"several words"` are one. */
const wordsOf = (line: string): string[] =>
  [...line.matchAll(/"([^"]*)"|(\S+)/g)].map(([, quoted, plain]) => quoted ?? plain ?? '');

function statusText(status: Status): string {
  if (status.phase === 'stopped') return `stopped: ${status.reason}`;
  if (status.phase !== 'offline') return status.phase;
  return `offline: ${status.reason}; trying again until it works`;
}
