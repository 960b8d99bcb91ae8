/** `rookery chat`: a chat in the terminal, over the SDK. Each line is a message; `/help` lists what else there is. */
import { hostname } from 'node:os';
import { createInterface, type Interface } from 'node:readline';
import type { Command } from 'commander';
import type { Client, ConversationId, Entry, Sending, Status } from '../sdk/index.ts';

const DEFAULT_URL = 'ws://127.0.0.1:7700/v1/ws';
/** Piped input that ends waits this long for its last acks. */
const FLUSH_WITHIN_MS = 30_000;

interface ChatOptions {
  readonly as: string;
  readonly to?: string;
  readonly group?: string;
  readonly url: string;
  readonly token?: string;
  readonly state: string;
}

type Target = { readonly to: string } | { readonly conversation: string };

export function registerChat(program: Command): void {
  program
    .command('chat')
    .description('chat in this terminal')
    .requiredOption('--as <user>', 'who you are')
    .option('--to <user>', 'whom to write to')
    .option('--group <id>', 'which group to write to')
    .option('--url <url>', 'of the gateway', DEFAULT_URL)
    .option('--token <jwt>', 'default: asked of the gateway, which gives one in development')
    .option('--state <dir>', 'folder for outbox and cursor', 'data/chat')
    .action(async (options: ChatOptions) => {
      const { createClient } = await import('../sdk/index.ts');
      const { FileStorage } = await import('../sdk/node/file-storage.ts');
      const storage = await FileStorage.open(`${options.state}/${encodeURIComponent(options.as)}`);
      const { as, url, token } = options;
      const client = await createClient({
        url,
        token: token ?? (() => devToken(url, as)),
        device: `terminal on ${hostname()}`.slice(0, 100),
        storage,
        agent: 'rookery-chat',
      });
      await new Chat(client, options).run();
    });
}

async function devToken(url: string, user: string): Promise<string> {
  const answer = await fetch(`${url.replace(/^ws/, 'http').replace(/\/v1\/ws.*$/, '')}/v1/dev/token`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ user }),
  });
  if (!answer.ok) throw new Error(`the gateway gives no token (HTTP ${answer.status}); use --token`);
  return ((await answer.json()) as { token: string }).token;
}

class Chat {
  readonly #client: Client;
  readonly #me: string;
  readonly #lines: Interface;
  #target: Target | undefined;

  constructor(client: Client, { as, to, group }: ChatOptions) {
    this.#client = client;
    this.#me = as;
    this.#target = to !== undefined ? { to } : group !== undefined ? { conversation: group } : undefined;
    this.#lines = createInterface({
      input: process.stdin,
      output: process.stdout,
      terminal: process.stdin.isTTY === true,
    });
  }

  async run(): Promise<void> {
    const client = this.#client;
    client.on('entry', (conversation, entry) => this.#show(conversation, entry));
    client.on('status', (status) => this.#print(`— ${statusText(status)}`));
    client.on('resync', (reason) => this.#print(`— reading the past anew (${reason})`));
    client.on('failed', (error) => this.#print(`— stopped: ${String(error)}`));
    client.start();
    this.#print(this.#target ? 'type a message, or /help' : 'type /to NAME to begin, or /help');
    for await (const line of this.#lines) {
      if (line.trim() === '/quit') break;
      try {
        await this.#take(line.trim());
      } catch (error) {
        this.#print(`✗ ${String((error as Error).message)}`);
      }
    }
    const bound = new Promise((resolve) => setTimeout(resolve, FLUSH_WITHIN_MS).unref());
    await Promise.race([client.flushed(), bound]);
    if (client.outboxSize > 0) console.log(`${client.outboxSize} not sent yet: they go out at the next start`);
    await client.close();
    process.exit(0);
  }

  async #take(line: string): Promise<void> {
    if (line === '') return;
    if (line.startsWith('/')) return this.#command(line.slice(1));
    if (!this.#target) return this.#print('✗ to whom? /to NAME or /group ID');
    this.#follow(this.#client.sendText(this.#target, line), '✓');
  }

  /** Says when the log has it, or why not; does not hold up the next line. */
  #follow({ durable }: Sending, done: string): void {
    durable.then(
      () => this.#print(done),
      (error: { code?: string; message: string }) => this.#print(`✗ ${error.code ?? ''} ${error.message}`),
    );
  }

  async #command(line: string): Promise<void> {
    const [name = '', ...words] = line.split(/\s+/);
    const client = this.#client;
    const group = this.#target && 'conversation' in this.#target ? this.#target.conversation : '';
    const commands: Record<string, () => void | Promise<void>> = {
      to: () => this.#aim({ to: words[0] ?? '' }),
      group: () => this.#aim({ conversation: words[0] ?? '' }),
      create: () => {
        const [id = '', ...members] = words;
        this.#follow(client.createGroup(id, id, members), `group ${id} created`);
        this.#aim({ conversation: id });
      },
      add: () => this.#follow(client.addMembers(group, words), 'added'),
      remove: () => this.#follow(client.removeMembers(group, words), 'removed'),
      leave: () => this.#follow(client.leaveGroup(group), 'left'),
      rename: () => this.#follow(client.renameGroup(group, words.join(' ')), 'renamed'),
      block: () => this.#follow(client.block(words[0] ?? ''), 'blocked'),
      unblock: () => this.#follow(client.unblock(words[0] ?? ''), 'unblocked'),
      who: async () => {
        const { members, lastIndex, name: title } = await client.conversation(group);
        this.#print(
          `${title}: ${members.map(({ user, role }) => `${user} (${role})`).join(', ')}; ${lastIndex} entries`,
        );
      },
      help: () => this.#print(HELP),
    };
    const command = commands[name];
    if (!command) return this.#print(`✗ no command /${name}; /help`);
    await command();
  }

  #aim(target: Target): void {
    this.#target = target;
    this.#print(`writing to ${'to' in target ? target.to : `group ${target.conversation}`}`);
  }

  #show(conversation: ConversationId, entry: Entry): void {
    const where = conversation.startsWith('direct:') ? '' : `[${clean(conversation)}] `;
    const text = textOf(entry);
    if (text) this.#print(`${where}${entry.by === this.#me ? 'you' : clean(entry.by)}${text}`);
  }

  #print(text: string): void {
    if (process.stdin.isTTY) {
      process.stdout.write(`\r\u001b[K${text}\n`);
      this.#lines.prompt(true);
    } else {
      console.log(text);
    }
  }
}

const HELP = `/to NAME · /group ID · /create ID NAMES… · /add NAMES… · /remove NAMES… · /leave · /rename TEXT
/who · /block NAME · /unblock NAME · /quit`;

function textOf(entry: Entry): string {
  switch (entry.type) {
    case 'message':
      return `: ${entry.contentType.startsWith('text/') ? clean(new TextDecoder().decode(entry.body)) : `(${clean(entry.contentType)}, ${entry.body.length} bytes)`}`;
    case 'groupCreated':
      return ` created the group “${clean(entry.name)}” with ${entry.members.map(clean).join(', ')}`;
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
    case 'rejected':
      return `: your message was refused: ${entry.code}`;
    default:
      return '';
  }
}

/** What others wrote must not move the cursor, clear the screen or ring the bell. */
const clean = (text: string): string => text.replace(/[\u0000-\u001f\u007f-\u009f\u202a-\u202e\u2066-\u2069]/g, '�');

function statusText(status: Status): string {
  if (status.phase === 'offline')
    return `offline (${status.reason}); next try in ${(status.retryInMs / 1_000).toFixed(1)} s`;
  return status.phase === 'stopped' ? `stopped: ${status.reason}` : status.phase;
}
