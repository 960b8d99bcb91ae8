/** Invariants 18 to 22 of src/sdk/SPEC.md: how a device is brought up by what has changed. */
import t from 'tap';
import type { ServerFrame } from '../../src/protocol/frames.ts';
import type { Input } from '../../src/sdk/inputs-and-effects.ts';
import { BEHIND_EVERY_MS, MAX_SYNC_FAILURES, SYNC_PAGE_CONVERSATIONS } from '../../src/sdk/limits.ts';
import type { Mark, StoredCursor } from '../../src/sdk/storage.ts';
import { conversation } from '../support/given.ts';
import { closed, deliver, empty, entry, frame, Scene, timer } from '../support/sdk-scene.ts';

const room = conversation('room');
const recent = { resume: 'latest', onGap: 'changes' } as const;
const away: StoredCursor = { epoch: 'e', seq: 7, asOf: 5_000 };
const mark: Mark = { pos: 10, n: 10, at: 10 };

const resync = (reached = 'r1'): Input => frame({ t: 'resync', reason: 'CURSOR_TOO_OLD', by: 'changes', reached });
const cursor = (seq: number, asOf?: number): Input =>
  frame({ t: 'cursor', epoch: 'e', seq, ...(asOf !== undefined && { asOf }) });

/** What was told of how far behind it is, else the phase. */
const behindOf = (scene: Scene) =>
  scene.of('status').map(({ status }) => (status.phase === 'catching up' ? status.behind : status.phase));

/** The sync's question, as it was written last. */
function question(scene: Scene) {
  const asked = scene.of('write').flatMap(({ frame: given }) => (given.t === 'query' ? [given] : []));
  return asked.at(-1);
}

/** An answer: conversations with their newest index, and the next page. */
const page = (scene: Scene, found: Record<string, number>, next?: string, total?: number): Input =>
  frame({
    t: 'result',
    id: question(scene)?.id ?? 0,
    result: {
      conversations: Object.entries(found).map(([id, lastIndex]) => ({ conversation: id, lastIndex, amended: [] })),
      ...(next !== undefined && { cursor: next }),
      ...(total !== undefined && { total }),
    },
  } as unknown as ServerFrame);

const onGap = (scene: Scene) => scene.of('write').find(({ frame: given }) => given.t === 'hello')?.frame;

t.test('18: who wants changes says so, and a device that cannot go on asks for them since its time', async (t) => {
  const scene = new Scene({ ...empty, cursor: away, marks: [[room, mark]] }, recent).online();
  t.match(onGap(scene), { resume: { epoch: 'e', seq: 7 }, onGap: 'changes' });
  t.notOk('asOf' in ((onGap(scene) as { resume: object }).resume ?? {}), 'a cursor is what it was');
  scene.when(resync());
  const query = { type: 'changes', since: 5_000, limit: SYNC_PAGE_CONVERSATIONS };
  t.match(question(scene), { query, reached: 'r1' });
  t.notOk('onGap' in (onGap(new Scene().online()) ?? {}), 'and who does not, does not');
});

t.test('18: a device with nothing asks for its list, one page; one without a time for all changes', async (t) => {
  const scene = new Scene(empty, recent).online();
  t.match(onGap(scene), { resume: 'latest' });
  scene.when(resync(), cursor(9, 1_000));
  scene.when(resync());
  t.match(question(scene)?.query, { type: 'conversations', limit: SYNC_PAGE_CONVERSATIONS });
  scene.when(page(scene, { room: 3 }, 'more'));
  scene.handles(9);
  t.match(scene.of('synced'), [{ synced: { since: 0, more: 'more' } }], 'and tells where the list goes on');
  const old = new Scene({ ...empty, cursor: { epoch: 'e', seq: 7 } }, recent).online().when(resync());
  t.match(question(old)?.query, { type: 'changes', since: 0 });
});

t.test('18: the app’s questions carry what the resync had reached, on that connection', async (t) => {
  const scene = new Scene(empty, recent).online().when(resync('r1'), cursor(9));
  const asks: Input = { type: 'query', ticket: 1, query: { type: 'contacts' } };
  scene.when(asks);
  t.match(question(scene), { query: { type: 'contacts' }, reached: 'r1' });
  const other = new Scene(empty, recent).online().when(resync('r1'), cursor(9));
  other.when(page(other, {})).handles(9);
  other.when(closed(1006)).reconnected().when(asks);
  t.notOk('reached' in (question(other) ?? {}), 'another connection, another server perhaps');
});

t.test('19: of the pages one is with the server or with the app', async (t) => {
  const scene = new Scene({ ...empty, cursor: away }, recent).online().when(resync(), cursor(9));
  scene.when(cursor(10));
  t.equal(question(scene), undefined, 'asked once');
  const first = new Scene({ ...empty, cursor: away }, recent).online().when(resync());
  first.when(page(first, { room: 3 }, 'p2'));
  t.equal(question(first), undefined, 'not before the app has handled it');
  first.handles(1);
  t.match(question(first)?.query, { type: 'changes', since: 5_000, cursor: 'p2' });
  first.when(page(first, { hall: 1 }));
  t.same(first.types, ['announce']);
  first.handles(1);
  t.same(first.of('synced'), [{ type: 'synced', synced: { since: 5_000 } }]);
});

t.test('26: while it catches up it says how many conversations are yet to be told, where that is known', async (t) => {
  const scene = new Scene({ ...empty, cursor: away }, recent).online();
  t.same(behindOf(scene), ['connecting', undefined]);
  scene.when(resync());
  t.same(behindOf(scene.when(page(scene, { a: 1, b: 1 }, 'p2', 5))), [{ entries: 0, conversations: 5 }], 'at once');
  scene.later(BEHIND_EVERY_MS);
  t.same(behindOf(scene.handles(1)), [{ entries: 0, conversations: 3 }]);
  t.same(behindOf(scene.when(page(scene, { c: 1, d: 1, e: 1 }))), [], 'the same is not told again');
  t.same(behindOf(scene.when(cursor(9))), []);
  t.same(behindOf(scene.handles(1)), ['live']);
  const unknown = new Scene({ ...empty, cursor: away }, recent).online().when(resync()).later(BEHIND_EVERY_MS);
  t.same(behindOf(unknown.when(page(unknown, { a: 1 }, 'p2'))), [], 'a server that has not counted');
  const again = new Scene({ ...empty, cursor: away }, recent).online().when(resync());
  again.when(page(again, { a: 1 }, 'p2', 3)).handles(1);
  t.same(behindOf(again.when(closed(1006)).reconnected()), ['connecting', { entries: 0, conversations: 2 }]);
  const first = new Scene(empty, recent).online().when(resync()).later(BEHIND_EVERY_MS);
  t.same(
    behindOf(first.when(page(first, { a: 1, b: 1 }, 'more'))),
    [{ entries: 0, conversations: 2 }],
    'its first page',
  );
});

t.test('26: entries that came and are not handled count, until it is live', async (t) => {
  const scene = new Scene().online();
  t.same(behindOf(scene.when(deliver(entry(1, 1), entry(2, 2)))), [], 'not more often than can be read');
  scene.later(BEHIND_EVERY_MS);
  t.same(behindOf(scene.when(deliver(entry(3, 3)))), [{ entries: 3 }]);
  t.same(behindOf(scene.handles(1)), []);
  t.same(behindOf(scene.handles(1)), [undefined], 'that nothing is left is told at once');
  t.same(behindOf(scene.later(BEHIND_EVERY_MS).when(cursor(9), deliver(entry(4, 4)))), ['live']);
});

t.test('19: it is live when all is told', async (t) => {
  const scene = new Scene({ ...empty, cursor: away }, recent).online().when(resync());
  scene.when(cursor(9));
  t.same(scene.of('status'), []);
  const told = new Scene({ ...empty, cursor: away }, recent).online().when(resync());
  told.when(page(told, { room: 3 })).handles(1);
  t.same(told.of('status'), [], 'not before the cursor');
  t.match(told.when(cursor(9)).of('status'), [{ status: { phase: 'live' } }]);
});

t.test('20: what came live before its conversation was told is behind what is told, and goes on', async (t) => {
  const marks = [[room, mark]] as const;
  const scene = new Scene({ ...empty, cursor: away, marks }, recent).online().when(resync());
  const answer = page(scene, { room: 53 });
  t.same(scene.when(cursor(9), deliver(entry(51, 51))).handedOver, [51], 'no gap');
  scene.when(answer, deliver(entry(52, 52)), deliver(entry(53, 53)), deliver(entry(54, 54)));
  t.same(scene.handedOver, [52, 53, 54]);
  t.same(scene.when(deliver(entry(56, 56))).of('gap').length, 1, 'and one that is missing is missed');
});

t.test('20: what was told before anything came goes on from there', async (t) => {
  const marks = [[room, mark]] as const;
  const scene = new Scene({ ...empty, cursor: away, marks }, recent).online().when(resync());
  scene.when(page(scene, { room: 50 }), cursor(9));
  t.same(scene.when(deliver(entry(50, 50))).handedOver, [50], 'the read model was ahead: told, and comes');
  t.same(scene.when(deliver(entry(51, 51))).handedOver, [51]);
  const behind = new Scene({ ...empty, cursor: away, marks }, recent).online().when(resync());
  behind.when(page(behind, { room: 50 }), cursor(9));
  t.match(behind.when(deliver(entry(52, 52))).of('gap'), [{ after: 50, found: 52, lost: false }]);
});

t.test('21: what is not told yet stands with the cursor, until the last page is handled', async (t) => {
  const scene = new Scene({ ...empty, cursor: away }, recent).online();
  const begun = scene.when(resync());
  const answer = page(begun, { room: 50 }, 'p2');
  begun.when(cursor(9, 8_000)).handles(1).at(1_000).when(timer('commit'));
  const sync = { since: 5_000, isFirst: false, reached: 'r1' };
  t.same(scene.commits.at(-1)?.cursor, { epoch: 'e', seq: 9, asOf: 8_000, sync });
  scene.when({ type: 'committed', cursor: scene.commits.at(-1)?.cursor });
  begun.when(answer).at(2_000).handles(1);
  t.same(scene.commits.at(-1)?.cursor, { epoch: 'e', seq: 9, asOf: 8_000, sync: { ...sync, page: 'p2' } });
  t.same(scene.commits.at(-1)?.marks, [[room, { pos: 0, n: 50, at: 0 }]], 'with the marks it moved');

  const cursorThen = scene.commits.at(-1)?.cursor as StoredCursor;
  const again = new Scene({ ...empty, cursor: cursorThen }, recent).online();
  t.match(question(again), { query: { since: 5_000, cursor: 'p2' }, reached: 'r1' }, 'after a crash it goes on');
  again.when(page(again, {})).at(1_000).handles(1);
  t.same(again.commits.at(-1)?.cursor, { epoch: 'e', seq: 9, asOf: 8_000 });
  const plain = new Scene({ ...empty, cursor: cursorThen }).online();
  t.match(onGap(plain), { onGap: 'changes' }, 'also where the app wants a replay now');
});

t.test('21: after a crash, what came live before it is not taken back by an answer that is behind it', async (t) => {
  const sync = { since: 5_000, isFirst: false, reached: 'r1' };
  const stored = { ...empty, cursor: { ...away, sync }, marks: [[room, { pos: 52, n: 52, at: 52 }] as const] };
  const scene = new Scene(stored, recent).online();
  scene.when(deliver(entry(52, 52)), page(scene, { room: 51 }), cursor(9));
  t.same(scene.when(deliver(entry(53, 53))).handedOver, [53], 'no gap');
});

t.test('21: what the first page of a list leaves out goes on anywhere, also after a crash', async (t) => {
  const sync = { since: 0, isFirst: true, reached: 'r1' };
  const scene = new Scene({ ...empty, cursor: { ...away, sync }, marks: [[room, mark]] }, recent).online();
  scene.when(resync('r2'), cursor(9));
  scene.when(page(scene, { hall: 3 }, 'more'), deliver(entry(13, 13))).handles(1);
  scene.when({ type: 'committed', cursor: scene.commits.at(-1)?.cursor });
  // The page is handled, and what came behind it is not yet.
  scene.at(1_000).handles(1);
  const { cursor: last, marks = [] } = scene.commits.at(-1) ?? {};
  t.equal(last?.sync, undefined);
  const again = new Scene({ ...empty, cursor: last, marks: [[room, mark], ...marks] }, recent).online();
  t.same(again.when(deliver(entry(13, 13))).handedOver, [13], 'no gap');
});

t.test('21: a second resync begins anew, since the time of the first', async (t) => {
  const scene = new Scene({ ...empty, cursor: away }, recent).online().when(resync('r1'));
  scene.when(page(scene, { room: 1 }, 'p2'));
  scene.when(cursor(9, 8_000), resync('r2'));
  t.equal(question(scene), undefined, 'the app still has a page, and memory holds one');
  const { length } = scene.of('synced');
  scene.handles(1);
  t.match(question(scene), { query: { since: 5_000 }, reached: 'r2' });
  t.notOk('cursor' in (question(scene)?.query ?? {}), 'from the first page: that of before changes nothing');
  t.equal(scene.of('synced').length, length);
});

t.test('22: a page that is refused is asked for again; for ever so, everything anew without a cursor', async (t) => {
  const scene = new Scene({ ...empty, cursor: away }, recent).online().when(resync());
  const refuse = (code: 'READ_MODEL_UNAVAILABLE' | 'BAD_REQUEST'): Input =>
    frame({ t: 'error', id: question(scene)?.id ?? 0, code, message: '' });
  for (let i = 0; i < MAX_SYNC_FAILURES; i++) {
    scene.when(refuse('READ_MODEL_UNAVAILABLE'));
    t.match(scene.of('set timer'), [{ name: 'sync' }]);
    scene.when(timer('sync'));
    t.ok(question(scene), 'again');
  }
  t.same(scene.when(refuse('READ_MODEL_UNAVAILABLE')).of('close').length, 1);
  scene.reconnected();
  t.match(onGap(scene), { resume: 'latest', onGap: 'changes' });
  scene.when(resync('r2'));
  t.match(question(scene), { query: { type: 'changes', since: 5_000 }, reached: 'r2' });
  t.same(scene.when(refuse('BAD_REQUEST')).of('close').length, 1, 'at once where asking again is in vain');
});

t.test('22: a lost connection asks again on the next one', async (t) => {
  const scene = new Scene({ ...empty, cursor: away }, recent).online().when(resync(), cursor(9));
  scene.when(closed(1006)).reconnected();
  t.match(question(scene), { query: { type: 'changes', since: 5_000 }, reached: 'r1' });
});
