/** The numbered invariants of src/sdk/SPEC.md, one test each: what the machine wants done, given what it was told. */
// long because: one file holds the numbered invariants of one page
import { readFileSync } from 'node:fs';
import t from 'tap';
import { directConversationId } from '../../src/domain/ids.ts';
import { DEFAULT_SETTINGS } from '../../src/domain/roster.ts';
import type { Entry } from '../../src/protocol/frames.ts';
import type { Input } from '../../src/sdk/inputs-and-effects.ts';
import * as limits from '../../src/sdk/limits.ts';
import { outboxKey } from '../../src/sdk/outbox.ts';
import { bytes, conversation, msgId, user } from '../support/given.ts';
import {
  closed,
  cursor,
  deliver,
  done,
  empty,
  entry,
  frame,
  me,
  Scene,
  says,
  sent,
  timer,
  token,
  welcome,
} from '../support/sdk-scene.ts';

const room = conversation('room');
const overloaded = (id: number, retryAfterMs?: number): Input =>
  frame({ t: 'error', id, code: 'OVERLOADED', message: '', ...(retryAfterMs !== undefined && { retryAfterMs }) });
const asked = (ticket: number): Input => ({
  type: 'query',
  ticket,
  query: { type: 'conversation', conversation: room },
});

t.test('1: a request is stored before it is written, and dropped only when it is answered', async (t) => {
  const scene = new Scene().when(says('a'));
  t.same(scene.types, ['store entry'], 'offline it is stored and waits');
  scene.online();
  const [a] = scene.written;
  t.same(scene.when(says('b')).types, ['store entry', 'write']);
  t.same(scene.when(sent(a?.id)).types, ['drop entry', 'settle']);
  t.equal(scene.machine.outboxSize, 1);
});

t.test('2: after a reconnect everything unanswered goes out again, with its id and in its order', async (t) => {
  const scene = new Scene().online().when(says('a'), says('b', 'carol'), says('c'));
  const [, second] = scene.written;
  scene.when(sent(second?.id), closed(1006)).reconnected();
  t.same(scene.writtenIds, ['a', 'c']);
  t.same(scene.when(says('d')).writtenIds, ['d'], 'what is new comes behind');
  const request = (id: string) => (says(id) as Extract<Input, { type: 'request' }>).request;
  const outbox = [2, 1].map((n) => ({ key: outboxKey(n), clientMsgId: msgId(`s${n}`), request: request(`s${n}`) }));
  const stored = new Scene({ ...empty, outbox }).when(says('new')).online();
  t.same(stored.writtenIds, ['s1', 's2', 'new'], 'also from the storage of an earlier run');
});

t.test('3: the pipeline is bounded by ourselves and by the server', async (t) => {
  const many = Array.from({ length: 100 }, (_, i) => says(`m${i}`));
  t.equal(new Scene().online().when(...many).written.length, limits.MAX_PIPELINED);
  const narrow = new Scene().online({ maxInFlight: 3 }).when(asked(1), ...many);
  t.equal(narrow.of('write').length, 3, 'a query counts as well');
  t.equal(narrow.when(sent(narrow.written[0]?.id)).written.length, 1, 'each answer makes room for one');
});

t.test('4: behind a request refused for a passing reason its lane waits, others go on', async (t) => {
  const scene = new Scene().online({ maxInFlight: 1 }).when(says('a'), says('b'), says('c', 'carol'));
  scene.when(overloaded(scene.written[0]?.id ?? 0, 100));
  t.same(scene.writtenIds, ['c']);
  t.match(scene.of('set timer'), [{ name: 'retry', ms: 150 }], 'not before the time it was given, and jittered');
  t.same(scene.when(sent(scene.written[0]?.id)).written, []);
  t.same(scene.at(151).when(timer('retry')).writtenIds, ['a']);
});

t.test('4: two that were refused go out in their order, whichever may go first', async (t) => {
  const scene = new Scene().online().when(says('a'), says('b'), says('c'));
  const ids = scene.written.map(({ id }) => id);
  scene.when(overloaded(ids[1] ?? 0, 100), overloaded(ids[0] ?? 0, 1_000), sent(ids[2]));
  t.same(scene.at(200).when(timer('retry')).written, [], 'b may, a may not yet');
  t.match(scene.of('set timer'), [{ name: 'retry', ms: 1_300 }], 'the timer is for a');
  t.same(scene.at(1_600).when(timer('retry')).writtenIds, ['a', 'b']);
});

t.test('4: a peer, their direct conversation and a block of them are one lane', async (t) => {
  const direct: Input = {
    ...(says('b') as Extract<Input, { type: 'request' }>),
    request: {
      t: 'send',
      address: { conversation: conversation('direct:bob:me') },
      content: { contentType: 'text/plain', body: bytes('b') },
    },
  };
  const block: Input = {
    type: 'request',
    ticket: 3,
    clientMsgId: msgId('block'),
    request: { t: 'command', command: { type: 'blockUser', user: user('bob') } },
  };
  const scene = new Scene().online({ maxInFlight: 1 }).when(says('a'), direct, block);
  t.same(scene.when(overloaded(scene.written[0]?.id ?? 0, 100)).written, []);
});

t.test('4: without a time the pauses double up to a bound', async (t) => {
  const scene = new Scene().online().when(says('a'));
  const pauses: number[] = [];
  for (let i = 0; i < 8; i++) {
    scene.when(overloaded(scene.written.at(-1)?.id ?? 0));
    const ms = scene.of('set timer').find(({ name }) => name === 'retry')?.ms ?? 0;
    pauses.push(ms / 1.5);
    scene.later(ms + 1).when(timer('retry'));
  }
  t.same(pauses, [500, 1_000, 2_000, 4_000, 8_000, 16_000, 20_000, 20_000]);
});

t.test('5: a refusal with a code of a newer server settles; with a time it is one to wait for', async (t) => {
  const scene = new Scene().online().when(says('m1'));
  const code = 'OF_TOMORROW' as never;
  const { id } = scene.written[0] as { id: number };
  scene.when(frame({ t: 'error', id, code, message: '', retryAfterMs: 50 }));
  t.same([scene.of('settle'), scene.of('set timer').map(({ name }) => name)], [[], ['retry']]);
  scene.later(1_000).when(timer('retry'));
  const again = scene.written[0] as { id: number };
  scene.when(frame({ t: 'error', id: again.id, code, message: '' }));
  t.match(scene.of('settle'), [{ outcome: { error: { code, status: 400, retryable: false } } }]);
});

t.test('5: each call settles once, whatever comes twice', async (t) => {
  const scene = new Scene().online().when(says('a'));
  const id = scene.written[0]?.id;
  scene.when(sent(id), sent(id), frame({ t: 'error', id: id ?? 0, code: 'BLOCKED', message: '' }));
  t.equal(scene.of('settle').length, 1);
  const refused = new Scene().online().when(says('a'));
  refused.when(frame({ t: 'error', id: refused.written[0]?.id ?? 0, code: 'BLOCKED', message: '' }));
  t.match(refused.of('settle'), [{ outcome: { error: { code: 'BLOCKED' } } }]);
  t.equal(refused.machine.outboxSize, 0);
  const command: Input = {
    type: 'request',
    ticket: 7,
    clientMsgId: msgId('c'),
    request: { t: 'command', command: { type: 'leaveGroup', conversation: room } },
  };
  const commanded = new Scene().online().when(command);
  t.match(commanded.when(done(commanded.written[0]?.id)).of('settle'), [{ ticket: 7, outcome: { pos: 1 } }]);
});

t.test('5: a query is answered once, and asked again when the connection was lost', async (t) => {
  const scene = new Scene().online().when(asked(1));
  const [first] = scene.of('write');
  scene.when(closed(1006)).reconnected();
  t.same(
    scene.of('write').map(({ frame: { t } }) => t),
    ['hello', 'query'],
  );
  const again = scene.of('write')[1]?.frame;
  const id = again?.t === 'query' ? again.id : 0;
  t.ok(first?.frame.t === 'query' && first.frame.id !== id, 'with an id of this connection');
  const result = {
    conversation: room,
    kind: 'group',
    name: '',
    members: [],
    memberCount: 0,
    settings: DEFAULT_SETTINGS,
    dissolved: false,
    lastIndex: 0,
  } as const;
  scene.when(frame({ t: 'result', id, result }), frame({ t: 'result', id, result }));
  t.match(scene.of('answer'), [{ ticket: 1, result }]);
});

t.test('6: what comes a second time is dropped', async (t) => {
  const scene = new Scene()
    .online()
    .when(deliver(entry(5, 1), entry(7, 2)), deliver(entry(7, 2), entry(9, 3)), deliver(entry(5, 1)));
  t.same(scene.handedOver, [5, 7, 9]);
  const restarted = new Scene({ ...empty, marks: [[room, { pos: 7, n: 2, at: 7 }]] });
  t.same(restarted.online().when(deliver(entry(7, 2), entry(9, 3))).handedOver, [9], 'also after a restart');
});

t.test('6: in a log that was begun anew, positions begin anew', async (t) => {
  const scene = new Scene({ ...empty, marks: [[room, { pos: 700, n: 90, at: 700 }]] }).online();
  scene.when(frame({ t: 'resync', reason: 'EPOCH_CHANGED' }));
  scene.when(deliver(entry(650, 80)));
  t.same(scene.handedOver, [], 'of the log we know');
  scene.when(deliver(entry(1, 1, { at: 1_000 }), entry(2, 2, { at: 1_001 })), deliver(entry(1, 1, { at: 1_000 })));
  t.same(scene.handedOver, [1, 2], 'younger than all we know: of another one');
});

t.test('7: entries are handed over in the order of their positions, and settled by the app in it', async (t) => {
  const scene = new Scene().online().when(deliver(entry(1, 1)), deliver(entry(2, 2), entry(3)), deliver(entry(4, 3)));
  t.same(scene.handedOver, [1, 2, 3, 4]);
});

t.test('8: an index that jumps is a gap: nothing behind it is handed over, the inbox is asked again', async (t) => {
  const scene = new Scene().online().when(deliver(entry(1, 1)), deliver(entry(5, 3), entry(6, 4)));
  t.same(scene.handedOver, [1]);
  t.match(scene.of('gap'), [{ conversation: room, after: 1, found: 3, lost: false }]);
  t.ok(scene.types.includes('close'));
  scene.reconnected();
  t.match(scene.of('write')[0]?.frame, { t: 'hello', resume: 'everything' });
  scene.when(deliver(entry(1, 1), entry(3, 2), entry(5, 3)));
  t.same(scene.handedOver, [3, 5], 'what was missing comes, in order');
});

t.test('8: a gap that stays is told once more and then passed: no endless asking', async (t) => {
  const scene = new Scene()
    .online()
    .when(deliver(entry(1, 1)), deliver(entry(5, 3)))
    .reconnected();
  scene.when(deliver(entry(1, 1), entry(5, 3), entry(6, 4)));
  t.match(scene.of('gap'), [{ after: 1, found: 3, lost: true }]);
  t.same(scene.handedOver, [5, 6]);
  t.notOk(scene.types.includes('close'));
});

t.test('8: what was missing comes also where an entry without an index lies behind it', async (t) => {
  const scene = new Scene()
    .online()
    .when(deliver(entry(1, 1), entry(3)), deliver(entry(5, 3)))
    .reconnected();
  scene.when(deliver(entry(1, 1), entry(2, 2), entry(3), entry(5, 3)));
  t.same(scene.handedOver, [2, 5], 'its index tells that it never came');
  t.same(scene.of('gap'), []);
  const elsewhere = new Scene().online().when(deliver(entry(1, 1), entry(9), entry(2, 2), entry(4, 4)));
  t.match(elsewhere.of('gap'), [{ after: 2, found: 4 }], 'and behind it a jump is a gap');
});

t.test('8: whoever joins late, or again, begins where the others are', async (t) => {
  t.same(new Scene().online().when(deliver(entry(9, 7))).handedOver, [9], 'a first entry may have any index');
  const added = { type: 'membersAdded', members: [me] };
  const again = new Scene().online().when(deliver(entry(1, 1)), deliver(entry(9, 7, added), entry(10, 8)));
  t.same(again.handedOver, [1, 9, 10]);
  const other = { type: 'membersAdded', members: [user('carol')], by: me };
  t.equal(
    new Scene()
      .online()
      .when(deliver(entry(1, 1)), deliver(entry(9, 7, other)))
      .of('gap').length,
    1,
  );
  const plain = new Scene().online().when(deliver(entry(1, 1), entry(2), entry(3, 2)));
  t.same(plain.handedOver, [1, 2, 3], 'entries without an index leave no gap');
  const resynced = new Scene().online().when(deliver(entry(1, 1)), frame({ t: 'resync', reason: 'TOO_FAR_BEHIND' }));
  t.same(resynced.when(deliver(entry(9, 7))).handedOver, [9], 'the log may have dropped its beginning');
});

t.test(
  '9: a cursor is committed when all before it is handled, with the marks; and confirmed when committed',
  async (t) => {
    const scene = new Scene().online().when(deliver(entry(5, 1), entry(6)), cursor(40), deliver(entry(7, 2)));
    t.same(
      scene.types.filter((type) => type === 'hand over' || type === 'pass' || type === 'commit'),
      ['hand over', 'pass', 'hand over'],
      'nothing is committed that is not handled',
    );
    scene.handles(1);
    t.match(scene.of('commit'), [{ cursor: undefined, marks: [[room, { pos: 6, n: 1 }]] }]);
    scene.when({ type: 'committed', cursor: undefined }).handles(1);
    t.match(scene.of('set timer'), [{ name: 'commit', ms: limits.COMMIT_EVERY_MS }], 'not for each cursor');
    scene.handles(1).later(limits.COMMIT_EVERY_MS).when(timer('commit'));
    t.match(scene.of('commit'), [{ cursor: { epoch: 'e', seq: 40 }, marks: [[room, { pos: 7, n: 2 }]] }]);
    t.same(scene.of('write'), []);
    scene.when({ type: 'committed', cursor: { epoch: 'e', seq: 40 } });
    t.match(scene.of('write'), [{ frame: { t: 'confirm', seq: 40 } }]);
  },
);

t.test(
  '9: what is confirmed is a cursor of this connection, and of the inbox it reads: a confirm has no epoch',
  async (t) => {
    const confirmed = (scene: Scene) => scene.of('write').filter(({ frame: given }) => given.t === 'confirm').length;
    const stored = (scene: Scene): Input => ({ type: 'committed', cursor: scene.commits.at(-1)?.cursor });
    const handled = (): Scene => new Scene().online().when(cursor(40)).handles(1);
    t.equal(confirmed(handled().when(stored(handled()))), 1);
    const elsewhere = handled().when(closed(1006)).reconnected();
    t.equal(confirmed(elsewhere.when(stored(elsewhere))), 0, 'perhaps of an inbox that is another one by now');
    const anew = handled().when(frame({ t: 'resync', reason: 'EPOCH_CHANGED' }), cursor(50, 'other'));
    t.equal(confirmed(anew.when(stored(anew))), 0);
    const replayed = new Scene().online().when(frame({ t: 'resync', reason: 'CURSOR_TOO_OLD' }));
    replayed.when(frame({ t: 'cursor', epoch: '0-3~e', seq: 40, more: true })).handles(1);
    t.equal(
      confirmed(replayed.when(cursor(40), stored(replayed))),
      0,
      'the same number, and not all before it is stored',
    );
    replayed.handles(1).later(limits.COMMIT_EVERY_MS).when(timer('commit'));
    t.equal(confirmed(replayed.when(stored(replayed))), 1, 'until the end of the replay is');
  },
);

t.test('9: a thousand handled entries do not wait for the time', async (t) => {
  const scene = new Scene()
    .online()
    .when(deliver(entry(1, 1)))
    .handles(1)
    .when({ type: 'committed', cursor: undefined });
  const entries = Array.from({ length: limits.COMMIT_EVERY_ENTRIES }, (_, i) => entry(i + 2, i + 2));
  t.equal(
    scene
      .when(deliver(...entries), cursor(9))
      .handles(2)
      .of('commit').length,
    1,
  );
});

t.test('9: one commit at a time, however slow the storage', async (t) => {
  const scene = new Scene()
    .online()
    .when(deliver(entry(1, 1)))
    .handles(1);
  t.equal(scene.of('commit').length, 1);
  scene
    .later(10_000)
    .when(deliver(entry(2, 2)))
    .handles(1);
  t.same(scene.of('commit'), []);
  scene.when({ type: 'committed', cursor: undefined });
  t.match(scene.of('commit'), [{ marks: [[room, { pos: 2 }]] }]);
});

t.test('9: what was handled is committed when the client ends, what was not comes again', async (t) => {
  const scene = new Scene()
    .online()
    .when(deliver(entry(1, 1)))
    .handles(1)
    .when({ type: 'committed', cursor: undefined });
  scene
    .when(deliver(entry(2, 2)), deliver(entry(3, 3)))
    .handles(1)
    .when({ type: 'stop', reason: '' });
  t.match(scene.of('commit'), [{ marks: [[room, { pos: 2, n: 2 }]] }]);
});

t.test('10: the hello carries the newest cursor; the stored one never goes back', async (t) => {
  const hello = (scene: Scene) => scene.when({ type: 'start' }, token(), { type: 'opened' }).of('write');
  t.match(hello(new Scene()), [{ frame: { resume: 'everything' } }]);
  t.match(hello(new Scene({ ...empty, cursor: { epoch: 'e', seq: 7 } })), [
    { frame: { resume: { epoch: 'e', seq: 7 } } },
  ]);
  const scene = new Scene()
    .online()
    .when(deliver(entry(1, 1)), cursor(9))
    .handles(2);
  scene.when(closed(4000)).reconnected();
  t.match(scene.of('write')[0]?.frame, { resume: { epoch: 'e', seq: 9 } });
  scene.when({ type: 'committed', cursor: undefined }, timer('commit'));
  scene.when(deliver(entry(4, 3))).reconnected();
  t.match(scene.of('write')[0]?.frame, { resume: 'everything' }, 'after a gap');
  scene.when(cursor(3)).handles(1).when(closed(1006)).reconnected();
  t.match(scene.of('write')[0]?.frame, { resume: { epoch: 'e', seq: 3 } }, 'the second reading goes on where it was');
  scene.later(limits.COMMIT_EVERY_MS).when({ type: 'stop', reason: '' });
  t.match(scene.of('commit').concat(scene.commits).at(-1)?.cursor, { epoch: 'e', seq: 9 });
});

t.test('10: a place within a replay is stored and gone on from, and makes nobody live', async (t) => {
  const place = { epoch: '0-1~e', seq: 9 };
  const resync = frame({ t: 'resync', reason: 'CURSOR_TOO_OLD' });
  const scene = new Scene().online().when(resync, deliver(entry(1, 1)));
  scene.when(frame({ t: 'cursor', ...place, more: true }));
  t.same(scene.of('status'), []);
  scene.handles(2).when({ type: 'committed', cursor: undefined });
  scene.later(limits.COMMIT_EVERY_MS).when(timer('commit'));
  t.match(scene.commits, [{ marks: [[room, { pos: 1 }]] }, { cursor: place }]);
  scene.when(closed(1006)).reconnected();
  t.match(scene.of('write')[0]?.frame, { resume: place });
  scene.when(resync, deliver(entry(2, 2)), cursor(9));
  t.same(scene.handedOver, [2]);
  t.match(scene.of('status'), [{ status: { phase: 'live' } }]);
});

t.test('11: pauses double up to a bound, are jittered, and begin anew after a stable connection', async (t) => {
  const scene = new Scene().online();
  const pause = () => scene.of('set timer').find(({ name }) => name === 'reconnect')?.ms ?? -1;
  const pauses: number[] = [];
  for (let i = 0; i < 12; i++) {
    scene.when(closed(1006));
    pauses.push(pause());
    scene.when(timer('reconnect'), token());
  }
  t.same(
    pauses.slice(0, 4),
    [0.5, 1, 2, 4].map((factor) => factor * limits.FIRST_BACKOFF_MS),
  );
  t.equal(pauses.at(-1), limits.MAX_BACKOFF_MS / 2);
  scene.when({ type: 'opened' }, welcome(), cursor(1), closed(1006));
  t.equal(pause(), limits.MAX_BACKOFF_MS / 2, 'live for a moment is not stable');
  scene.reconnected().when(cursor(2)).later(limits.STABLE_AFTER_MS).when(closed(1006));
  t.equal(pause(), limits.FIRST_BACKOFF_MS / 2);
});

t.test('12: a refused token is not offered twice, and a final close code ends the client', async (t) => {
  const scene = new Scene().online().when(cursor(1)).later(limits.STABLE_AFTER_MS).when(closed(4100));
  t.match(scene.of('set timer'), [{ name: 'reconnect', ms: 0 }], 'a token that expired in use is replaced at once');
  t.equal(scene.when(timer('reconnect')).of('fetch token').length, 1);
  t.match(scene.when(token('t')).of('status'), [{ status: { phase: 'stopped', closeCode: 4100 } }]);
  const renewed = new Scene().online().when(closed(4100), timer('reconnect'), token('new'));
  t.equal(renewed.of('open').length, 1);
  for (const closeCode of [4200, 4203, 4212]) {
    const ended = new Scene().online().when(closed(closeCode));
    t.equal(ended.machine.phase, 'stopped');
    t.match(ended.of('status'), [{ status: { phase: 'stopped', closeCode } }], 'with the reason');
  }
  const hello = new Scene().when({ type: 'start' }, token(), { type: 'opened' });
  const refused = { t: 'error', id: 1, message: '' } as const;
  t.equal(hello.when(frame({ ...refused, code: 'TOKEN_INVALID' })).machine.phase, 'greeting', 'the close code follows');
  t.equal(hello.when(frame({ ...refused, code: 'BAD_ID' })).machine.phase, 'stopped');
});

t.test('13: a connection that stays silent after a ping is given up', async (t) => {
  const scene = new Scene().online({ heartbeatMs: 1_000 });
  scene
    .later(600)
    .when(frame({ t: 'pong' }))
    .later(400)
    .when(timer('heartbeat'));
  t.match(scene.effects.at(-1), { type: 'set timer', name: 'heartbeat', ms: 600 }, 'it was heard of: no ping');
  scene.later(600).when(timer('heartbeat'));
  t.match(scene.effects, [{ frame: { t: 'ping' } }, { name: 'pong', ms: limits.PONG_TIMEOUT_MS }]);
  scene
    .when(frame({ t: 'pong' }))
    .later(limits.PONG_TIMEOUT_MS)
    .when(timer('pong'));
  t.match(scene.of('write'), [{ frame: { t: 'ping' } }], 'an answer is a sign of life');
  scene.later(limits.PONG_TIMEOUT_MS).when(timer('pong'));
  t.equal(scene.of('close').length, 1);
  t.equal(scene.machine.phase, 'offline');
});

t.test('13: an attempt without an answer has failed', async (t) => {
  const scene = new Scene().when({ type: 'start' }, token());
  t.match(scene.of('set timer'), [{ name: 'connect', ms: limits.CONNECT_TIMEOUT_MS }]);
  t.same(scene.when(timer('connect')).of('close').length, 1);
  t.same(scene.when(frame({ t: 'pong' }), { type: 'opened' }).effects, [], 'what still comes of it means nothing');
});

t.test('14: an app that is far behind is given time, and loses nothing', async (t) => {
  const scene = new Scene().online();
  const portions = Array.from({ length: limits.MAX_UNHANDLED_ENTRIES / 1_000 + 1 }, (_, p) =>
    deliver(...Array.from({ length: 1_000 }, (_, i) => entry(p * 1_000 + i + 1, p * 1_000 + i + 1))),
  );
  t.equal(scene.when(...portions, cursor(5)).of('close').length, 1);
  t.notOk(
    scene.of('set timer').some(({ name }) => name === 'reconnect'),
    'no reconnect while it is behind',
  );
  t.equal(scene.handles(20).of('fetch token').length, 0);
  t.equal(scene.handles(1).of('fetch token').length, 1);
  const body = new Uint8Array(limits.MAX_UNHANDLED_BYTES / 4);
  const large = Array.from({ length: 5 }, (_, i) => deliver(entry(i + 1, i + 1, { body })));
  t.equal(
    new Scene()
      .online()
      .when(...large)
      .of('close').length,
    1,
    'or by bytes',
  );
});

t.test('15: the outbox is bounded, and a client that has ended takes nothing more', async (t) => {
  const full = new Scene().when(...Array.from({ length: limits.MAX_OUTBOX_ENTRIES }, (_, i) => says(`m${i}`)));
  t.match(full.when(says('one too many')).effects, [{ type: 'settle', outcome: { error: { code: 'OUTBOX_FULL' } } }]);
  const heavy: Input = {
    ...(says('heavy') as Extract<Input, { type: 'request' }>),
    request: {
      t: 'send',
      address: { to: user('bob') },
      content: { contentType: 'x', body: new Uint8Array(limits.MAX_OUTBOX_BYTES) },
    },
  };
  t.match(new Scene().when(heavy, says('x')).effects.at(-1), { outcome: { error: { code: 'OUTBOX_FULL' } } });
  const queries = Array.from({ length: limits.MAX_QUERIES + 1 }, (_, i) => asked(i));
  t.match(new Scene().when(...queries).effects, [{ type: 'answer', result: { code: 'OUTBOX_FULL' } }]);
  const ended = new Scene().when(says('a'), asked(9), { type: 'stop', reason: 'enough' });
  t.match(ended.of('settle'), [{ outcome: { error: { code: 'CLIENT_CLOSED' } } }]);
  t.match(ended.of('answer'), [{ result: { code: 'CLIENT_CLOSED' } }]);
  t.same(ended.of('drop entry'), [], 'it stays in the storage');
  t.match(ended.when(says('b'), asked(10)).types, ['settle', 'answer']);
});

t.test('16: a request too long for the server is found, refused, and holds up nobody', async (t) => {
  const scene = new Scene().online().when(says('a'), says('b'), says('c')).when(closed(1009)).reconnected();
  t.same(scene.writtenIds, ['a'], 'which of the three it was is not known: one by one');
  scene.when(sent(scene.written[0]?.id));
  t.same(scene.writtenIds, ['b']);
  scene.when(closed(1009));
  t.match(scene.of('settle'), [{ outcome: { error: { code: 'FRAME_TOO_LARGE' } } }]);
  t.same(scene.reconnected().writtenIds, ['c']);
});

t.test('17: what the log refused, and whose ack was lost, is refused and not sent again', async (t) => {
  const scene = new Scene().online().when(says('a'), closed(1006)).reconnected();
  const rejected = { type: 'rejected', by: me, id: msgId('a'), code: 'BLOCKED' };
  const returned = frame({
    t: 'deliver',
    conversation: conversation('direct:bob:me'),
    entries: [{ ...entry(3), ...rejected } as Entry],
  });
  scene.when(returned);
  t.match(scene.of('settle'), [{ outcome: { error: { code: 'BLOCKED' } } }]);
  t.same(scene.handedOver, [3], 'and it is handed over as an entry');
  t.equal(scene.machine.outboxSize, 0);
});

t.test('23: writing is told on a connection alone, thinned out; that of others is told to the app', async (t) => {
  const writes = (to: string): Input => ({ type: 'typing', address: { to: user(to) } });
  const scene = new Scene().when(writes('bob'));
  t.same(scene.types, [], 'without a connection it is dropped');
  scene.online().when(writes('bob'), writes('bob'), writes('carol'));
  t.same(
    scene.of('write').map(({ frame }) => frame),
    [
      { t: 'typing', to: 'bob' },
      { t: 'typing', to: 'carol' },
    ],
  );
  t.equal(
    scene
      .later(limits.TYPING_EVERY_MS - 1)
      .when(writes('bob'))
      .of('write').length,
    0,
  );
  t.equal(scene.later(1).when(writes('bob')).of('write').length, 1);
  const told = { t: 'typing', conversation: room, user: user('bob'), forMs: 6_000 } as const;
  t.same(scene.when(frame(told)).of('told'), [{ type: 'told', frame: told }]);
});

t.test('24: what is stored of the other’s is told as delivered, behind the commit, coalesced', async (t) => {
  const direct = conversation('direct:bob:me');
  const delivers = (...entries: Entry[]): Input => frame({ t: 'deliver', conversation: direct, entries });
  const told = (scene: Scene) =>
    scene
      .of('write')
      .flatMap(({ frame: { t, ...given } }) =>
        t === 'command' && 'command' in given && given.command.type === 'markDelivered'
          ? [{ id: given.id, upTo: given.command.upTo }]
          : [],
      );
  const committed = (scene: Scene): Input => ({ type: 'committed', cursor: scene.commits.at(-1)?.cursor });
  const scene = new Scene().online();
  scene.when(delivers(entry(5, 1), entry(6, 2), entry(7, 3, { by: me })), cursor(9)).handles(2);
  t.same(told(scene), [], 'not before it is stored');
  t.match(scene.commits.at(-1)?.marks, [[direct, { n: 3, untold: 2 }]]);
  const [first] = told(scene.when(committed(scene)));
  t.equal(first?.upTo, 2, 'of the other’s the newest');
  scene.at(300).when(done(first?.id), timer('commit'));
  t.notOk(scene.commits.at(-1)?.marks[0]?.[1].untold, 'told, it is not to be told again');
  scene.when(committed(scene));

  scene
    .at(600)
    .when(delivers(entry(8, 4)), cursor(10))
    .handles(2);
  scene.when(committed(scene));
  t.same([told(scene), scene.of('set timer').find(({ name }) => name === 'delivered')?.ms], [[], 1_400], 'not so soon');
  scene
    .at(900)
    .when(delivers(entry(9, 5)), cursor(11))
    .handles(2);
  scene.when(committed(scene));
  t.equal(
    scene
      .when(delivers(entry(10, 6)))
      .at(2_000)
      .when(timer('delivered'))
      .of('write').length,
    1,
  );
  const [both] = told(scene);
  t.equal(both?.upTo, 5, 'one for both, and nothing that is not stored');
  scene.when(overloaded(both?.id ?? 0, 4_000), timer('retry'));
  t.same(told(scene), []);
  t.equal(told(scene.at(8_000).when(timer('delivered')))[0]?.upTo, 5, 'again after a passing refusal');
  t.equal(told(scene.when(closed(1006)).at(12_000).reconnected())[0]?.upTo, 5, 'and after a lost connection');
});

t.test('24: of what was on its way the newest is told again: an older one says less', async (t) => {
  const direct = conversation('direct:bob:me');
  const marks = [[direct, { pos: 7, n: 3, at: 7, untold: 3 }]] as const;
  const told = (scene: Scene) =>
    scene.of('write').flatMap(({ frame: given }) => (given.t === 'command' ? [given] : []));
  const both = () => {
    const scene = new Scene({ ...empty, marks }).online();
    const [first] = told(scene);
    scene.at(limits.DELIVERED_EVERY_MS).when(frame({ t: 'deliver', conversation: direct, entries: [entry(8, 4)] }));
    const [second] = told(scene.handles(1).when({ type: 'committed', cursor: undefined }));
    t.match([first?.command, second?.command], [{ upTo: 3 }, { upTo: 4 }]);
    return { scene, first: first?.id ?? 0, second: second?.id ?? 0 };
  };
  const lost = both();
  t.match(told(lost.scene.when(closed(1006)).at(12_000).reconnected()), [{ command: { upTo: 4 } }]);
  const refused = both();
  refused.scene.when(overloaded(refused.first, 10)).when(closed(1006)).at(12_000);
  t.match(told(refused.scene.reconnected()), [{ command: { upTo: 4 } }]);
  const newest = both();
  newest.scene.when(overloaded(newest.second, 10), overloaded(newest.first, 10)).at(12_000);
  t.match(told(newest.scene.when(timer('delivered'))), [{ command: { upTo: 4 } }]);
});

t.test(
  '19: what a run has left untold the next one tells; what is read, and where it is switched off, nobody',
  async (t) => {
    const direct = conversation('direct:bob:me');
    const marks = [[direct, { pos: 7, n: 3, at: 7, untold: 3 }]] as const;
    const commands = (scene: Scene) =>
      scene.of('write').flatMap(({ frame }) => (frame.t === 'command' ? [frame.command.type] : []));
    const left = new Scene({ ...empty, marks }).online();
    t.same(commands(left), ['markDelivered']);
    const read: Input = {
      type: 'request',
      ticket: 1,
      clientMsgId: msgId('r'),
      request: { t: 'command', command: { type: 'markRead', conversation: direct, upTo: 3 } },
    };
    t.same(commands(new Scene({ ...empty, marks }).when(read).online()), ['markRead']);
    const early = new Scene()
      .online()
      .when({ type: 'frame', frame: { t: 'deliver', conversation: direct, entries: [entry(7, 3)] } });
    early.when(read).handles(1).at(300).when(timer('commit'), { type: 'committed', cursor: undefined });
    t.same(commands(early), [], 'also where it was read before it was stored');
    t.notOk(early.at(900).when(timer('commit')).commits.at(-1)?.marks[0]?.[1].untold);
    t.same(commands(new Scene({ ...empty, marks }, { tellsDelivered: false }).online()), []);
    for (const given of [room, directConversationId(me, me)]) {
      const scene = new Scene().online();
      scene.when(
        frame({ t: 'deliver', conversation: given, entries: [entry(1, 1, { by: given === room ? 'bob' : me })] }),
      );
      scene.handles(1).at(300).when(timer('commit'));
      t.notOk(scene.commits.at(-1)?.marks[0]?.[1].untold, given);
    }
  },
);

const watches = (ticket: number, ...users: string[]): Input => ({ type: 'watch', ticket, users: users.map(user) });
const watched = (scene: Scene): { readonly id: number; readonly users: readonly string[] }[] =>
  scene.of('write').flatMap(({ frame: given }) => (given.t === 'watch' ? [given] : []));
const seenAs = (online: boolean, ...users: string[]) => users.map((one) => ({ user: user(one), online }));
const watching = (scene: Scene, ...users: string[]): Input =>
  frame({ t: 'result', id: watched(scene)[0]?.id ?? 0, result: { presence: seenAs(false, ...users) } });

t.test('25: whom the app watches is told to each connection anew, and what comes of them to the app', async (t) => {
  const scene = new Scene().when(watches(1, 'bob', 'carol'));
  t.same(scene.types, [], 'without a connection it waits');
  t.match(watched(scene.online()), [{ users: ['bob', 'carol'] }]);
  scene.when(watching(scene, 'bob', 'carol'));
  t.match(scene.of('told'), [{ frame: { t: 'presence', presence: seenAs(false, 'bob', 'carol') } }]);
  t.match(scene.of('answer'), [{ ticket: 1, result: { presence: seenAs(false, 'bob', 'carol') } }]);
  scene.when(frame({ t: 'presence', presence: seenAs(true, 'bob') }));
  t.match(scene.of('told'), [{ frame: { presence: seenAs(true, 'bob') } }]);
  scene.when(closed(1006)).reconnected();
  t.match(watched(scene), [{ users: ['bob', 'carol'] }], 'after a reconnect as well');
  scene.when(watching(scene, 'bob', 'carol'));
  t.same([scene.of('told').length, scene.of('answer').length], [1, 0], 'the app hears of it, and no call ends twice');
  scene.when(watches(2));
  t.match(watched(scene), [{ users: [] }], 'of nobody');
  scene.when(frame({ t: 'presence', presence: seenAs(false, 'bob') }), watching(scene));
  t.same([scene.of('told'), scene.of('answer').length], [[], 1], 'what was written for the set before means nothing');
  t.same(watched(scene.when(closed(1006)).reconnected()), [], 'nobody needs no request');
});

t.test('25: a set that is replaced before its answer tells nothing; its call ends with the newest', async (t) => {
  const scene = new Scene().online().when(watches(1, 'bob'));
  const first = watching(scene, 'bob');
  t.same(watched(scene.when(watches(2, 'carol'), watches(3, 'dave'))), [], 'one at a time');
  scene.when(first);
  t.same([scene.of('told'), scene.of('answer')], [[], []]);
  t.match(watched(scene), [{ users: ['dave'] }]);
  scene.when(watching(scene, 'dave'));
  t.match(scene.of('answer'), [
    { ticket: 1 },
    { ticket: 2 },
    { ticket: 3, result: { presence: seenAs(false, 'dave') } },
  ]);
  const lost = new Scene().online().when(watches(4, 'bob'), closed(1006)).reconnected();
  t.match(lost.when(watching(lost, 'bob')).of('answer'), [{ ticket: 4 }], 'a lost connection only delays it');
});

t.test('25: a passing refusal is tried again, with growing pauses; one for good ends the call', async (t) => {
  const scene = new Scene().online().when(watches(1, 'bob'));
  const refuse = (ms?: number) => scene.when(overloaded(watched(scene)[0]?.id ?? 0, ms)).of('set timer')[0]?.ms;
  t.equal(refuse(), limits.FIRST_RETRY_MS * 1.5);
  t.same(watched(scene.when(asked(9))), [], 'not before the time');
  scene.when(timer('watch'));
  t.equal(refuse(), limits.FIRST_RETRY_MS * 3);
  scene.when(timer('watch'));
  t.equal(refuse(100), 150, 'or when the server says');
  t.match(watched(scene.when(closed(1006)).reconnected()), [{ users: ['bob'] }], 'a new connection is asked at once');
  const id = watched(scene)[0]?.id ?? 0;
  scene.when(frame({ t: 'error', id, code: 'BAD_REQUEST', message: '' }));
  t.match(scene.of('answer'), [{ ticket: 1, result: { code: 'BAD_REQUEST' } }]);
  t.same(watched(scene.when(closed(1006)).reconnected()), [], 'and nobody is watched');
});

t.test('25: the calls that wait are bounded, and end with the client', async (t) => {
  const calls = Array.from({ length: limits.MAX_QUERIES + 1 }, (_, i) => watches(i, 'bob'));
  const scene = new Scene().when(...calls);
  t.match(scene.effects, [{ type: 'answer', ticket: limits.MAX_QUERIES, result: { code: 'OUTBOX_FULL' } }]);
  scene.when({ type: 'stop', reason: '' });
  t.equal(scene.of('answer').length, limits.MAX_QUERIES);
  t.match(scene.when(watches(7, 'bob')).effects, [{ ticket: 7, result: { code: 'CLIENT_CLOSED' } }]);
});

t.test('the hello says of the device what the app does', async (t) => {
  const about = { kind: 'phone', name: 'Pixel' } as const;
  t.match(new Scene(empty, about).online().of('write')[0]?.frame, { t: 'hello', ...about });
  const hello = new Scene().online().of('write')[0]?.frame ?? {};
  t.notOk('kind' in hello || 'name' in hello, 'and nothing where it says nothing');
});

t.test('every invariant of SPEC.md has its test', async (t) => {
  const spec = readFileSync(new URL('../../src/sdk/SPEC.md', import.meta.url), 'utf8').split('## Invariants')[1] ?? '';
  const tests = ['./machine.test.ts', './sync.test.ts']
    .map((name) => readFileSync(new URL(name, import.meta.url), 'utf8'))
    .join('');
  const numbers = [...spec.matchAll(/^(\d+)\. /gm)].map(([, number]) => Number(number));
  t.ok(numbers.length > 0);
  for (const number of numbers) t.ok(tests.includes(`t.test('${number}: `), `invariant ${number}`);
});
