/** Conversations in a closed loop: each keeps its window of messages on their way. */
import { directConversationId, parseUserId, type UserId } from '../../src/domain/ids.ts';
import type { LiveJob, Result } from '../job.ts';
import { connectDevice, type Device } from './device.ts';
import { bodyOf, DeliveredFrames, decode, encode } from './frames.ts';
import { Ledger, monotonicUs } from './ledger.ts';
import { type Enter, measure, resultOf, sleep, within } from './pace.ts';
import { Timeline } from './timeline.ts';

const CREATED_WITHIN_MS = 15_000;
/** Sockets that are opened at a time. */
const CONNECT_AT_ONCE = 50;
/** After an error that names no time of its own. */
const RETRY_AFTER_MS = 100;
/** Of all errors: one that comes once a message would fill the screen. */
const MAX_ERRORS_SHOWN = 3;

interface Conversation {
  readonly id: string;
  readonly index: number;
  readonly isDirect: boolean;
  readonly timeline: Timeline;
  readonly devices: Device[];
  /** How many messages it has sent: whose turn it is. */
  turn: number;
}

export async function live(job: LiveJob, enter: Enter): Promise<Result> {
  const load = new LiveLoad(job);
  for (let index = 0; index < job.groups; index++) await load.open(index);
  load.start();
  await measure(load.ledger, job, enter, () => load.stop());
  return load.result();
}

class LiveLoad {
  readonly ledger = new Ledger();
  readonly #job: LiveJob;
  readonly #frames = new DeliveredFrames();
  readonly #conversations = new Map<string, Conversation>();
  /** By a message's number. */
  readonly #conversationOf: Conversation[] = [];
  #isSending = false;
  #errors = 0;

  constructor(job: LiveJob) {
    this.#job = job;
  }

  /** Connects the members; of a group, creates it and waits until each of them was told. */
  async open(index: number): Promise<void> {
    const { members, url, secretFile } = this.#job;
    const users = Array.from({ length: members }, (_, m) => parseUserId(`g${index}m${m}`) as UserId);
    const [first, second] = users as [UserId, UserId];
    const isDirect = members === 2;
    const id = isDirect ? directConversationId(first, second) : `group-${index}`;
    const timeline = new Timeline(this.ledger, members);
    const conversation: Conversation = { id, index, isDirect, timeline, devices: [], turn: 0 };
    this.#conversations.set(id, conversation);
    for (let m = 0; m < members; m += CONNECT_AT_ONCE) {
      const some = users.slice(m, m + CONNECT_AT_ONCE).map((user, i) =>
        connectDevice({
          server: { url, secretFile },
          user,
          resume: 'latest',
          onFrame: (payload) => this.#received(m + i, payload),
        }),
      );
      conversation.devices.push(...(await Promise.all(some)));
    }
    if (isDirect) return;
    const command = { type: 'createGroup', conversation: id, name: id, members: users.slice(1) };
    conversation.devices[0]?.socket.send(encode({ t: 'command', id: -1, clientMsgId: 'create', command }));
    const created = await within(CREATED_WITHIN_MS, () => users.every((_, m) => timeline.newestOf(m) === 1));
    if (!created) throw new Error(`${id} was not created within ${CREATED_WITHIN_MS} ms`);
  }

  start(): void {
    this.#isSending = true;
    for (let i = 0; i < this.#job.window; i++) {
      for (const conversation of this.#conversations.values()) this.#sendNext(conversation);
    }
  }

  stop(): void {
    this.#isSending = false;
  }

  result(): Result {
    const timelines = [...this.#conversations.values()].map(({ timeline }) => timeline);
    const closed = [...this.#conversations.values()].flatMap(({ devices }) => devices).filter((d) => d.socket.closed);
    if (closed.length > 0) console.error(`generator: ${closed.length} sockets were closed by the gateway`);
    return resultOf(this.ledger, timelines);
  }

  /** The senders take turns, so that each has an order of its own to be kept. */
  #sendNext(conversation: Conversation): void {
    if (!this.#isSending) return;
    const { senders, members } = this.#job;
    const sender = conversation.turn++ % senders;
    const number = this.ledger.send(sender, members + 1);
    this.#conversationOf.push(conversation);
    const to = conversation.isDirect ? { to: conversation.devices[1]?.user } : { conversation: conversation.id };
    conversation.devices[sender]?.socket.send(
      encode({
        t: 'send',
        id: number,
        ...to,
        clientMsgId: `m${number}`,
        contentType: 'text/plain',
        body: bodyOf(number),
      }),
    );
  }

  /** Hot path. */
  #received(member: number, payload: Buffer): void {
    let frame = this.#frames.known(payload);
    if (!frame) {
      const decoded = decode(payload);
      if (decoded.t !== 'deliver') return this.#answered(decoded);
      frame = this.#frames.add(payload, decoded);
      for (const run of frame.runs) this.#conversations.get(frame.conversation)?.timeline.place(run);
    }
    const conversation = this.#conversations.get(frame.conversation) as Conversation;
    const atUs = monotonicUs();
    let complete = 0;
    for (const run of frame.runs) complete += conversation.timeline.receive(member, run, atUs);
    for (; complete > 0; complete--) this.#sendNext(conversation);
  }

  #answered(frame: { t: string; id: number; code?: string; message?: string; retryAfterMs?: number }): void {
    const conversation = this.#conversationOf[frame.id];
    if (frame.t === 'sent' && conversation) {
      if (this.ledger.ack(frame.id)) this.#sendNext(conversation);
    } else if (frame.t === 'error') {
      this.#errors += 1;
      if (this.#errors <= MAX_ERRORS_SHOWN) console.error(`generator: ${frame.code}: ${frame.message}`);
      if (!conversation) return;
      this.ledger.refuse(frame.id);
      void sleep(frame.retryAfterMs ?? RETRY_AFTER_MS).then(() => this.#sendNext(conversation));
    }
  }
}
