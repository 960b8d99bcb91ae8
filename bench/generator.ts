/**
 * The load generator: a process of its own, so that what it costs is not charged to what it measures. It counts and checks
 * every delivery: none lost, none doubled, each conversation in one gapless order.
 *
 * Members of a group get the same bytes, so a frame is decoded once: others are recognised by comparing bytes. The plain
 * broadcast it is compared with is received and checked the same way.
 */
import { Packr } from 'msgpackr';
import { signDevToken } from '../src/adapters/jwt/tokens.ts';
import { Histogram } from './histogram.ts';
import type { Job, Result } from './job.ts';
import { LightSocket } from './socket.ts';

const BODY_BYTES = 200;
/** A message not delivered to all within this time after the measurement is lost. */
const DRAIN_MS = 15_000;
const TOKEN_LIFETIME_MS = 3_600_000;
const SUBPROTOCOL = 'rookery.v1.msgpack';
const packr = new Packr({ useRecords: false, int64AsType: 'number' });

const nowUs = (): number => performance.now() * 1_000;

/** A message's number stands in the last four bytes of its body, which are the last of a frame. */
function bodyOf(number: number): Buffer {
  const body = Buffer.alloc(BODY_BYTES, 0x61);
  body.writeUInt32BE(number, BODY_BYTES - 4);
  return body;
}

/** Messages on their way, and what became of all. */
class Ledger {
  readonly deliveries = new Histogram();
  readonly acks = new Histogram();
  readonly #sentAt: number[] = [];
  readonly #missing: number[] = [];
  delivered = 0;
  acked = 0;
  open = 0;
  doubled = 0;
  outOfOrder = 0;
  measuring = false;

  send(recipients: number): number {
    this.#missing.push(recipients);
    this.open += 1;
    return this.#sentAt.push(nowUs()) - 1;
  }

  ack(number: number): void {
    if (!this.measuring) return;
    this.acked += 1;
    this.acks.add(nowUs() - (this.#sentAt[number] as number));
  }

  /** True when with this delivery all recipients have it. */
  deliver(number: number, at: number): boolean {
    const left = (this.#missing[number] as number) - 1;
    this.#missing[number] = left;
    if (left < 0) this.doubled += 1;
    if (this.measuring) {
      this.delivered += 1;
      this.deliveries.add(at - (this.#sentAt[number] as number));
    }
    if (left !== 0) return false;
    this.open -= 1;
    return true;
  }

  get lost(): number {
    return this.#missing.reduce((sum, left) => sum + Math.max(0, left), 0);
  }
}

interface Frame {
  readonly bytes: Buffer;
  readonly conversation: string;
  readonly firstN: number;
  readonly numbers: readonly number[];
}

/** Frames by the number of their last message: the same bytes are decoded once. */
class FrameCache {
  readonly #frames = new Map<number, Frame>();

  get(payload: Buffer): Frame | undefined {
    const key = payload.readUInt32BE(payload.length - 4);
    const known = this.#frames.get(key);
    if (known && known.bytes.length === payload.length && Buffer.compare(known.bytes, payload) === 0) return known;
    return undefined;
  }

  put(
    payload: Buffer,
    conversation: string,
    entries: readonly { type: string; n: number; body: Uint8Array }[],
  ): Frame | undefined {
    const messages = entries.filter(({ type }) => type === 'message');
    const [first] = messages;
    if (!first) return undefined;
    const gapless = messages.every(({ n }, i) => n === first.n + i);
    const numbers = messages.map(({ body }) =>
      Buffer.from(body.buffer, body.byteOffset, body.length).readUInt32BE(BODY_BYTES - 4),
    );
    const frame = { bytes: Buffer.from(payload), conversation, firstN: gapless ? first.n : -1, numbers };
    this.#frames.set(numbers.at(-1) as number, frame);
    if (this.#frames.size > 4_096) this.#frames.delete(this.#frames.keys().next().value as number);
    return frame;
  }
}

interface Member {
  readonly user: string;
  socket: LightSocket;
  /** Newest index by conversation. */
  readonly newest: Map<string, number>;
  seen: number;
}

async function helloed(
  job: { url: string; secretFile: string },
  user: string,
  resume: unknown,
  onFrame: (f: Buffer) => void,
): Promise<LightSocket> {
  const token = await signDevToken(job.secretFile, user, TOKEN_LIFETIME_MS);
  let welcome: () => void;
  let refuse: (error: Error) => void;
  const welcomed = new Promise<void>((resolve, reject) => {
    welcome = resolve;
    refuse = reject;
  });
  let greeted = false;
  const socket = await LightSocket.open(new URL(job.url), SUBPROTOCOL, (payload) => {
    if (greeted) return onFrame(payload);
    const frame = packr.unpack(payload) as { t: string };
    greeted = true;
    if (frame.t === 'welcome') welcome();
    else refuse(new Error(JSON.stringify(frame)));
  });
  socket.send(packr.pack({ t: 'hello', id: 0, token, device: 'bench', resume }));
  await welcomed;
  return socket;
}

async function live(job: Extract<Job, { kind: 'live' }>): Promise<Result> {
  const ledger = new Ledger();
  const cache = new FrameCache();
  const groups: { conversation: string | undefined; members: Member[]; next: number }[] = [];
  const refill = new Map<string, () => void>();
  let errors = 0;

  const received = (member: Member, payload: Buffer): void => {
    let frame = cache.get(payload);
    if (!frame) {
      const decoded = packr.unpack(payload);
      if (decoded.t === 'sent') return ledger.ack(decoded.id);
      if (decoded.t === 'error') {
        errors += 1;
        if (errors < 4) console.error('generator:', JSON.stringify(decoded));
        return;
      }
      if (decoded.t !== 'deliver') return;
      frame = cache.put(payload, decoded.conversation, decoded.entries);
      if (!frame) {
        member.newest.set(decoded.conversation, decoded.entries.at(-1).n ?? 0);
        member.seen += 1;
        return;
      }
    }
    const last = member.newest.get(frame.conversation) ?? 0;
    if (frame.firstN !== last + 1) ledger.outOfOrder += 1;
    member.newest.set(frame.conversation, frame.firstN + frame.numbers.length - 1);
    const at = nowUs();
    let complete = 0;
    for (const number of frame.numbers) if (ledger.deliver(number, at)) complete += 1;
    const more = refill.get(frame.conversation);
    for (let i = 0; i < complete; i++) more?.();
  };

  for (let g = 0; g < job.groups; g++) {
    const members: Member[] = [];
    for (let m = 0; m < job.members; m++) {
      const user = `g${g}m${m}`;
      const member: Member = { user, newest: new Map(), seen: 0, socket: undefined as never };
      member.socket = await helloed(job, user, 'latest', (payload) => received(member, payload));
      members.push(member);
    }
    const direct = job.members === 2;
    const conversation = direct ? undefined : `group-${g}`;
    groups.push({ conversation, members, next: 0 });
    if (conversation) await createGroup(conversation, members);
  }

  for (const group of groups) {
    const { conversation, members } = group;
    const key =
      conversation ??
      `direct:${members
        .map(({ user }) => user)
        .sort()
        .join(':')}`;
    // A few senders take turns, each with its own order.
    const senders = members.slice(0, Math.min(4, members.length === 2 ? 1 : members.length));
    const sendNext = (): void => {
      if (stopped) return;
      const sender = senders[group.next++ % senders.length] as Member;
      const number = ledger.send(members.length);
      const to = conversation ? { conversation } : { to: members[1]?.user };
      sender.socket.send(
        packr.pack({
          t: 'send',
          id: number,
          ...to,
          clientMsgId: `m${number}`,
          contentType: 'text/plain',
          body: bodyOf(number),
        }),
      );
    };
    refill.set(key, sendNext);
  }
  let stopped = false;
  for (const more of refill.values()) for (let i = 0; i < job.window; i++) more();

  await sleep(job.warmupMs);
  ledger.measuring = true;
  const startedAt = performance.now();
  await sleep(job.measureMs);
  ledger.measuring = false;
  const seconds = (performance.now() - startedAt) / 1_000;
  stopped = true;
  await drained(ledger);
  return {
    value: ledger.delivered / seconds,
    messagesPerS: ledger.acked / seconds,
    p50Ms: ledger.deliveries.percentileMs(0.5),
    p99Ms: ledger.deliveries.percentileMs(0.99),
    ackP50Ms: ledger.acks.percentileMs(0.5),
    ackP99Ms: ledger.acks.percentileMs(0.99),
    lost: ledger.lost,
    doubled: ledger.doubled,
    outOfOrder: ledger.outOfOrder,
  };
}

async function createGroup(conversation: string, members: readonly Member[]): Promise<void> {
  const owner = members[0] as Member;
  const others = members.slice(1).map(({ user }) => user);
  const command = { type: 'createGroup', conversation, name: conversation, members: others };
  const before = members.map(({ seen }) => seen);
  owner.socket.send(packr.pack({ t: 'command', id: -1, clientMsgId: `create ${conversation}`, command }));
  const deadline = Date.now() + DRAIN_MS;
  while (members.some(({ seen }, i) => seen === before[i])) {
    if (Date.now() > deadline) throw new Error(`${conversation} was not created`);
    await sleep(5);
  }
}

async function broadcast(job: Extract<Job, { kind: 'broadcast' }>): Promise<Result> {
  const ledger = new Ledger();
  const sockets: LightSocket[] = [];
  let stopped = false;
  for (let m = 0; m < job.members; m++) {
    let last = -1;
    sockets.push(
      await LightSocket.open(new URL(job.url), undefined, (payload) => {
        const number = payload.readUInt32BE(payload.length - 4);
        if (number !== last + 1) ledger.outOfOrder += 1;
        last = number;
        if (ledger.deliver(number, nowUs())) sendNext();
      }),
    );
  }
  const sendNext = (): void => {
    if (!stopped) sockets[0]?.send(bodyOf(ledger.send(job.members)));
  };
  for (let i = 0; i < job.window; i++) sendNext();
  await sleep(job.warmupMs);
  ledger.measuring = true;
  const startedAt = performance.now();
  await sleep(job.measureMs);
  ledger.measuring = false;
  const seconds = (performance.now() - startedAt) / 1_000;
  stopped = true;
  await drained(ledger);
  return {
    value: ledger.delivered / seconds,
    p50Ms: ledger.deliveries.percentileMs(0.5),
    p99Ms: ledger.deliveries.percentileMs(0.99),
    lost: ledger.lost,
    doubled: ledger.doubled,
    outOfOrder: ledger.outOfOrder,
  };
}

async function idle({ url, secretFile, connections }: Extract<Job, { kind: 'idle' }>): Promise<Result> {
  const sockets: LightSocket[] = [];
  for (let i = 0; i < connections; i += 50) {
    const portion = Array.from({ length: Math.min(50, connections - i) }, (_, k) =>
      secretFile
        ? helloed({ url, secretFile }, `idle${i + k}`, 'latest', () => undefined)
        : LightSocket.open(new URL(url), undefined, () => undefined),
    );
    sockets.push(...(await Promise.all(portion)));
  }
  return { value: sockets.filter(({ closed }) => !closed).length, lost: 0, doubled: 0, outOfOrder: 0 };
}

async function catchUp(job: Extract<Job, { kind: 'catch-up' }>): Promise<Result> {
  let cursor: { epoch: string; seq: number } | undefined;
  const away = await helloed(job, 'reader', 'latest', (payload) => {
    const frame = packr.unpack(payload);
    if (frame.t === 'cursor') cursor = { epoch: frame.epoch, seq: frame.seq };
  });
  while (!cursor) await sleep(5);
  away.destroy();

  let acked = 0;
  const window = 8;
  const each = job.messages / job.conversations;
  await Promise.all(
    Array.from({ length: job.conversations }, async (_, c) => {
      let sent = 0;
      const socket: LightSocket = await helloed(job, `writer${c}`, 'latest', (payload) => {
        if (packr.unpack(payload).t !== 'sent') return;
        acked += 1;
        next();
      });
      const next = (): void => {
        if (sent >= each) return;
        const number = c * each + sent++;
        const body = bodyOf(number);
        socket.send(
          packr.pack({
            t: 'send',
            id: number,
            to: 'reader',
            clientMsgId: `c${number}`,
            contentType: 'text/plain',
            body,
          }),
        );
      };
      for (let i = 0; i < window; i++) next();
    }),
  );
  while (acked < job.messages) await sleep(20);
  await sleep(1_000);

  const newest = new Map<string, number>();
  let received = 0;
  let outOfOrder = 0;
  let done: () => void;
  const finished = new Promise<void>((resolve) => (done = resolve));
  const startedAt = performance.now();
  await helloed(job, 'reader', cursor, (payload) => {
    const frame = packr.unpack(payload);
    if (frame.t === 'cursor' && received >= job.messages) done();
    if (frame.t !== 'deliver') return;
    for (const { n } of frame.entries) {
      if (n !== (newest.get(frame.conversation) ?? 0) + 1) outOfOrder += 1;
      newest.set(frame.conversation, n);
      received += 1;
    }
  });
  await Promise.race([finished, sleep(60_000)]);
  const seconds = (performance.now() - startedAt) / 1_000;
  return {
    value: received / seconds,
    lost: Math.max(0, job.messages - received),
    doubled: Math.max(0, received - job.messages),
    outOfOrder,
  };
}

async function drained(ledger: Ledger): Promise<void> {
  const deadline = Date.now() + DRAIN_MS;
  while (ledger.open > 0 && Date.now() < deadline) await sleep(20);
}

const sleep = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));

process.on('message', (job: Job) => {
  const work =
    job.kind === 'live'
      ? live(job)
      : job.kind === 'broadcast'
        ? broadcast(job)
        : job.kind === 'idle'
          ? idle(job)
          : catchUp(job);
  work.then(
    (result) => process.send?.({ result }),
    (error: unknown) => process.send?.({ error: String((error as Error).stack) }),
  );
});
