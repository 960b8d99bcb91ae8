import fc from 'fast-check';
import t from 'tap';
import type { Entry, ServerFrame } from '../../src/protocol/frames.ts';
import {
  type Effect,
  FIRST_BACKOFF_MS,
  type Input,
  MAX_BACKOFF_MS,
  MAX_OUTBOX,
  MAX_PIPELINED,
  MAX_UNHANDLED,
  Machine,
} from '../../src/sdk/machine.ts';
import type { StoredState } from '../../src/sdk/storage.ts';
import { bytes, conversation, device, msgId, user } from '../support/given.ts';

const empty: StoredState = { outbox: [], cursor: undefined, marks: [] };
const me = user('me');
const room = conversation('room');

const limits = { maxBodyBytes: 65_536, maxInFlight: 512, heartbeatMs: 30_000 };
const welcome = (over: Partial<typeof limits> = {}): Input => ({
  type: 'frame',
  frame: {
    t: 'welcome',
    id: 1,
    session: 's',
    user: me,
    device: device('d'),
    serverTime: 0,
    limits: { ...limits, ...over },
  },
});
const frame = (given: ServerFrame): Input => ({ type: 'frame', frame: given });
const says = (id: string, to = 'bob'): Input => ({
  type: 'request',
  clientMsgId: msgId(id),
  request: { t: 'send', address: { to: user(to) }, content: { contentType: 'text/plain', body: bytes(id) } },
});
const entry = (pos: number, n?: number, over: object = {}): Entry =>
  ({
    type: n === undefined ? 'conversationRead' : 'message',
    pos,
    at: 0,
    by: user('bob'),
    id: msgId(`e${pos}`),
    ...(n && { n }),
    ...over,
  }) as Entry;
const deliver = (...entries: Entry[]): Input => frame({ t: 'deliver', conversation: room, entries });
const closed = (code: number): Input => ({ type: 'closed', code, reason: '' });

class Scene {
  readonly machine: Machine;
  effects: Effect[] = [];
  constructor(state: StoredState = empty) {
    this.machine = new Machine({ device: device('d'), resume: 'everything' }, state);
  }
  when(...inputs: Input[]): this {
    this.effects = inputs.flatMap((input) => this.machine.handle(input, 0.5));
    return this;
  }
  online(over: Partial<typeof limits> = {}): this {
    return this.when({ type: 'start' }, { type: 'token', token: 't' }, { type: 'opened' }, welcome(over));
  }
  of<Type extends Effect['type']>(type: Type): Extract<Effect, { type: Type }>[] {
    return this.effects.filter((effect): effect is Extract<Effect, { type: Type }> => effect.type === type);
  }
  /** The requests written: their clientMsgIds and ids. */
  get written(): { clientMsgId: string; id: number }[] {
    return this.of('write').flatMap(({ frame: given }) =>
      'clientMsgId' in given ? [{ clientMsgId: given.clientMsgId, id: given.id }] : [],
    );
  }
  get handedOver(): number[] {
    return this.of('deliver').flatMap(({ entries }) => entries.map(({ pos }) => pos));
  }
}

const sent = (id: number): Input => frame({ t: 'sent', id, conversation: room, pos: id, at: 0 });

t.test('1: a request is stored before it is written, and dropped only when it is answered', async (t) => {
  const scene = new Scene().when(says('a'));
  t.match(scene.effects, [{ type: 'store entry' }], 'offline it is stored and waits');
  scene.online();
  const [written] = scene.written;
  scene.when(says('b'));
  t.same(
    scene.effects.map(({ type }) => type),
    ['store entry', 'write'],
  );
  t.same(scene.when(sent(written?.id ?? 0)).of('drop entry').length, 1);
  t.equal(scene.machine.outboxSize, 1);
});

t.test('2: after a reconnect everything unanswered goes out again, with its id and in its order', async (t) => {
  const scene = new Scene().online().when(says('a'), says('b', 'carol'), says('c'));
  const [, second] = scene.written;
  scene.when(
    sent(second?.id ?? 0),
    closed(1006),
    { type: 'timer', name: 'reconnect' },
    { type: 'token', token: 't' },
    { type: 'opened' },
  );
  scene.when(welcome());
  t.same(
    scene.written.map(({ clientMsgId }) => clientMsgId),
    ['a', 'c'],
  );
  const stored = new Scene({
    ...empty,
    outbox: [
      {
        key: '00000000002',
        clientMsgId: msgId('y'),
        request: (says('y') as Extract<Input, { type: 'request' }>).request,
      },
      {
        key: '00000000001',
        clientMsgId: msgId('x'),
        request: (says('x') as Extract<Input, { type: 'request' }>).request,
      },
    ],
  }).online();
  t.same(
    stored.written.map(({ clientMsgId }) => clientMsgId),
    ['x', 'y'],
    'also from the storage of an earlier run',
  );
});

t.test('3: the pipeline is bounded by ourselves and by the server', async (t) => {
  const many = Array.from({ length: 100 }, (_, i) => says(`m${i}`));
  t.equal(new Scene().online().when(...many).written.length, MAX_PIPELINED);
  const narrow = new Scene().online({ maxInFlight: 3 }).when(...many);
  t.equal(narrow.written.length, 3);
  t.equal(narrow.when(sent(narrow.written[0]?.id ?? 0)).written.length, 1, 'each answer makes room for one');
});

t.test('4: behind a request refused for a passing reason its lane waits, others go on', async (t) => {
  const scene = new Scene().online({ maxInFlight: 1 }).when(says('a'), says('b'), says('c', 'carol'));
  const [first] = scene.written;
  scene.when(frame({ t: 'error', id: first?.id ?? 0, code: 'OVERLOADED', message: '', retryAfterMs: 100 }));
  t.same(
    scene.written.map(({ clientMsgId }) => clientMsgId),
    ['c'],
  );
  t.match(scene.of('set timer'), [{ name: 'retry', ms: 150 }]);
  const third = scene.written[0]?.id ?? 0;
  t.same(scene.when(sent(third)).written, []);
  t.same(
    scene.when({ type: 'timer', name: 'retry' }).written.map(({ clientMsgId }) => clientMsgId),
    ['a'],
  );
});

t.test('5: each request settles once, whatever comes twice', async (t) => {
  const scene = new Scene().online().when(says('a'));
  const id = scene.written[0]?.id ?? 0;
  t.equal(
    scene.when(sent(id), sent(id), frame({ t: 'error', id, code: 'BLOCKED', message: '' })).of('settle').length,
    1,
  );
  const refused = new Scene().online().when(says('a'));
  refused.when(frame({ t: 'error', id: refused.written[0]?.id ?? 0, code: 'BLOCKED', message: '' }));
  t.match(refused.of('settle'), [{ outcome: { error: { code: 'BLOCKED' } } }]);
  t.equal(refused.machine.outboxSize, 0);
  const full = new Scene().when(...Array.from({ length: MAX_OUTBOX }, (_, i) => says(`m${i}`)));
  t.match(full.when(says('one too many')).effects, [{ type: 'settle', outcome: { error: { code: 'OVERLOADED' } } }]);
});

t.test('6: what comes a second time is dropped', async (t) => {
  const scene = new Scene()
    .online()
    .when(deliver(entry(5, 1), entry(7, 2)), deliver(entry(7, 2), entry(9, 3)), deliver(entry(5, 1)));
  t.same(scene.handedOver, [5, 7, 9]);
  const restarted = new Scene({ ...empty, marks: [[room, { pos: 7, n: 2 }]] })
    .online()
    .when(deliver(entry(7, 2), entry(9, 3)));
  t.same(restarted.handedOver, [9], 'also after a restart');
});

t.test('7: entries of a conversation come in the order of their positions', async (t) => {
  fc.assert(
    fc.property(fc.array(fc.integer({ min: 1, max: 30 }), { maxLength: 60 }), (positions) => {
      const handed = new Scene().online().when(...positions.map((pos) => deliver(entry(pos)))).handedOver;
      t.same(
        handed,
        [...new Set(handed)].sort((a, b) => a - b),
      );
    }),
  );
});

t.test('8: an index that jumps is a gap, except where the user joins', async (t) => {
  const scene = new Scene().online().when(deliver(entry(1, 1)), deliver(entry(5, 3), entry(6, 4)));
  t.same(scene.handedOver, [1]);
  t.match(scene.of('gap'), [{ after: 1, found: 3 }]);
  scene.when(closed(1006), { type: 'timer', name: 'reconnect' }, { type: 'token', token: 't' }, { type: 'opened' });
  t.match(scene.of('write'), [{ frame: { t: 'hello', resume: 'everything' } }]);
  scene.when(welcome(), deliver(entry(1, 1), entry(3, 2), entry(5, 3)));
  t.same(scene.handedOver, [3, 5], 'what was missing comes, in order');
  const again = new Scene()
    .online()
    .when(deliver(entry(1, 1)), deliver(entry(9, 7, { type: 'membersAdded', members: [me] }), entry(10, 8)));
  t.same(again.handedOver, [1, 9, 10]);
  t.same(new Scene().online().when(deliver(entry(9, 7))).handedOver, [9], 'a first entry may have any index');
});

t.test(
  '9: a cursor is committed behind its entries with their marks, and confirmed when it is committed',
  async (t) => {
    const cursor = { epoch: 'e', seq: 40 };
    const scene = new Scene()
      .online()
      .when(deliver(entry(5, 1), entry(6)), frame({ t: 'cursor', ...cursor }), deliver(entry(7, 2)));
    t.match(
      scene.effects.filter(({ type }) => type === 'deliver' || type === 'commit'),
      [{ type: 'deliver' }, { type: 'commit', cursor, marks: [[room, { pos: 6, n: 1 }]] }, { type: 'deliver' }],
    );
    t.same(scene.of('write'), []);
    scene.when({ type: 'committed', cursor }, { type: 'committed', cursor: { epoch: 'e', seq: 41 } });
    t.match(scene.of('set timer'), [{ name: 'confirm' }]);
    t.match(scene.when({ type: 'timer', name: 'confirm' }).of('write'), [{ frame: { t: 'confirm', seq: 41 } }]);
  },
);

t.test('10: the hello carries the newest cursor', async (t) => {
  const hello = (scene: Scene) =>
    scene.when({ type: 'start' }, { type: 'token', token: 't' }, { type: 'opened' }).of('write');
  t.match(hello(new Scene()), [{ frame: { resume: 'everything' } }]);
  t.match(hello(new Scene({ ...empty, cursor: { epoch: 'e', seq: 7 } })), [
    { frame: { resume: { epoch: 'e', seq: 7 } } },
  ]);
  const scene = new Scene().online().when(frame({ t: 'cursor', epoch: 'e', seq: 9 }), closed(4000));
  scene.when({ type: 'timer', name: 'reconnect' }, { type: 'token', token: 't' }, { type: 'opened' });
  t.match(scene.of('write'), [{ frame: { resume: { epoch: 'e', seq: 9 } } }]);
});

t.test('11: pauses double up to a bound, are jittered, and begin anew after a welcome', async (t) => {
  const scene = new Scene().online();
  const pauses: number[] = [];
  for (let i = 0; i < 12; i++) {
    scene.when(closed(1006));
    pauses.push(scene.of('set timer').find(({ name }) => name === 'reconnect')?.ms ?? -1);
    scene.when({ type: 'timer', name: 'reconnect' }, { type: 'token', token: 't' });
  }
  t.same(
    pauses.slice(0, 4),
    [0.5, 1, 2, 4].map((factor) => factor * FIRST_BACKOFF_MS),
  );
  t.equal(pauses.at(-1), MAX_BACKOFF_MS / 2);
  scene.when({ type: 'opened' }, welcome(), closed(1006));
  t.equal(scene.of('set timer').find(({ name }) => name === 'reconnect')?.ms, FIRST_BACKOFF_MS / 2);
});

t.test('12: a refused token is not offered twice, and a final close code ends the client', async (t) => {
  const scene = new Scene().online().when(closed(4100), { type: 'timer', name: 'reconnect' });
  t.equal(scene.of('fetch token').length, 1);
  t.match(scene.when({ type: 'token', token: 't' }).of('status'), [{ status: { phase: 'stopped' } }]);
  const renewed = new Scene()
    .online()
    .when(closed(4100), { type: 'timer', name: 'reconnect' }, { type: 'token', token: 'new' });
  t.equal(renewed.of('open').length, 1);
  t.equal(new Scene().online().when(closed(4200)).machine.phase, 'stopped');
});

t.test('13: a connection that stays silent after a ping is given up', async (t) => {
  const beat: Input = { type: 'timer', name: 'heartbeat' };
  const scene = new Scene().online().when(beat);
  t.match(scene.of('write'), [{ frame: { t: 'ping' } }]);
  t.same(scene.when(frame({ t: 'pong' }), beat).of('close'), [], 'an answer is a sign of life');
  t.equal(scene.when(beat).of('close').length, 1);
  t.equal(scene.machine.phase, 'offline');
});

t.test('14: an app that is far behind is given time, and loses nothing', async (t) => {
  const scene = new Scene().online();
  const portions = Array.from({ length: MAX_UNHANDLED / 1_000 + 1 }, (_, p) =>
    deliver(...Array.from({ length: 1_000 }, (_, i) => entry(p * 1_000 + i + 1, p * 1_000 + i + 1))),
  );
  t.equal(scene.when(...portions).of('close').length, 1);
  scene.when(closed(1005));
  t.same(scene.of('set timer'), [], 'no reconnect while it is behind');
  t.equal(scene.when({ type: 'handled', entries: MAX_UNHANDLED }).of('fetch token').length, 0);
  t.equal(scene.when({ type: 'handled', entries: 1_000 }).of('fetch token').length, 1);
});

t.test('every invariant of SPEC.md has its test', async (t) => {
  const { readFileSync } = await import('node:fs');
  const spec = readFileSync(new URL('../../src/sdk/SPEC.md', import.meta.url), 'utf8').split('## Invariants')[1] ?? '';
  const tests = readFileSync(new URL(import.meta.url), 'utf8');
  for (const [, number] of spec.matchAll(/^(\d+)\. /gm))
    t.ok(tests.includes(`'${number}: `), `invariant ${number}`);
});

t.test('whatever happens to the connection, each message settles once or waits in the outbox, in order', async (t) => {
  const happening = fc.oneof(
    { weight: 4, arbitrary: fc.constant('send') },
    { weight: 4, arbitrary: fc.constant('answer') },
    { weight: 1, arbitrary: fc.constant('overload') },
    { weight: 1, arbitrary: fc.constant('retry') },
    { weight: 1, arbitrary: fc.constant('drop') },
    { weight: 2, arbitrary: fc.constant('reconnect') },
  );
  fc.assert(
    fc.property(fc.array(happening, { maxLength: 120 }), (happenings) => {
      const scene = new Scene().online({ maxInFlight: 4 });
      const stored: string[] = [];
      const settled: string[] = [];
      let inFlight: { clientMsgId: string; id: number }[] = [];
      let count = 0;
      const note = (): void => {
        inFlight.push(...scene.written);
        for (const { clientMsgId } of scene.of('settle')) settled.push(clientMsgId);
      };
      for (const what of happenings) {
        if (what === 'send') scene.when(says(`m${count++}`));
        else if (what === 'drop') {
          scene.when(closed(1006));
          inFlight = [];
        } else if (what === 'reconnect')
          scene.when(
            { type: 'timer', name: 'reconnect' },
            { type: 'token', token: 't' },
            { type: 'opened' },
            welcome({ maxInFlight: 4 }),
          );
        else if (what === 'retry') scene.when({ type: 'timer', name: 'retry' });
        else {
          const next = inFlight.shift();
          if (!next) continue;
          if (what === 'answer' && !stored.includes(next.clientMsgId)) stored.push(next.clientMsgId);
          scene.when(
            what === 'answer'
              ? sent(next.id)
              : frame({ t: 'error', id: next.id, code: 'OVERLOADED', message: '', retryAfterMs: 1 }),
          );
        }
        note();
      }
      t.equal(new Set(settled).size, settled.length, 'none settles twice');
      t.equal(settled.length + scene.machine.outboxSize, count, 'none is lost');
    }),
    { numRuns: 300 },
  );
});
