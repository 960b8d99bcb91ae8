/** What of a conversation is at hand, and how it is shown after edits and recalls. */
import t from 'tap';
import type { Entry, HistoryEntry } from '../../src/sdk/index.ts';
import { type Amendment, amended, MAX_AT_HAND, Timeline } from '../../src/web/model/timeline.ts';
import { user } from '../support/given.ts';

const bytes = (text: string): Uint8Array => new TextEncoder().encode(text);
const textOf = (entry: HistoryEntry | null | undefined): string | undefined =>
  entry?.type === 'message' ? new TextDecoder().decode(entry.body) : entry?.type;

function message(n: number, text = `m${n}`, more: Partial<HistoryEntry> = {}): HistoryEntry {
  const base = { type: 'message', n, pos: 10 * n, at: 1_000 + n, by: user('bob'), id: `id-${n}` };
  return { ...base, contentType: 'text/plain', body: bytes(text), ...more } as HistoryEntry;
}

const edit = (n: number, pos: number, text: string): Amendment =>
  ({
    ...{ type: 'messageEdited', pos, at: 5_000, by: 'bob', id: `edit-${pos}` },
    target: { by: 'bob', id: `id-${n}` },
    ...{ contentType: 'text/plain', body: bytes(text) },
  }) as unknown as Amendment;
const recall = (n: number, pos: number): Amendment =>
  ({ ...edit(n, pos, ''), type: 'messageRecalled', by: 'alice' }) as unknown as Amendment;

t.test('a page of history fills the places of what this user may not see', async (t) => {
  const timeline = new Timeline();
  timeline.reaches(20);
  timeline.add({ entries: [message(12), message(15)], older: true, newer: true }, { before: 18 });
  t.same(
    [timeline.at(11), timeline.at(13), timeline.at(14), timeline.at(16), timeline.at(17)],
    [undefined, null, null, null, null],
  );
  t.equal(timeline.at(18), undefined);
  t.same(timeline.missing(1, 20), { from: 1, to: 20 });
  t.equal(timeline.missing(12, 17), undefined);
  timeline.add({ entries: [message(9)], older: false, newer: true }, { before: 12 });
  t.equal(timeline.first, 9, 'nothing older is to be seen');
  t.equal(timeline.missing(1, 12), undefined);
  timeline.add({ entries: [], older: false, newer: true }, { before: 9 });
  t.equal(timeline.first, 9);
});

t.test('of two versions of a message the newer one stands, in whatever order they come', async (t) => {
  const timeline = new Timeline();
  const edited = message(3, 'new', { edited: { pos: 77, at: 5_000 } });
  t.equal(timeline.put(edited), true);
  t.equal(timeline.put(message(3, 'old')), false, 'from a slower source');
  t.equal(textOf(timeline.at(3)), 'new');
  t.equal(timeline.amend(edit(3, 70, 'older edit')), false);
  t.equal(timeline.amend(edit(3, 80, 'newest')), true);
  t.equal(textOf(timeline.at(3)), 'newest');
  t.same((timeline.at(3) as HistoryEntry).edited, { pos: 80, at: 5_000 });
});

t.test('a recalled message has no body any more, and no later edit brings one back', async (t) => {
  const timeline = new Timeline();
  timeline.put(message(3, 'secret', { replyTo: 1, mentions: [user('carol')] } as never));
  t.equal(timeline.amend(recall(3, 50)), true);
  const shown = timeline.at(3) as HistoryEntry;
  t.match(shown, { recalled: { pos: 50, by: 'alice' }, by: 'bob' });
  t.equal(textOf(shown), '');
  t.notMatch(shown, { replyTo: 1 });
  t.equal(timeline.amend(edit(3, 60, 'again')), false);
});

t.test('an edit of what is not at hand changes nothing, and one of a notice neither', async (t) => {
  const timeline = new Timeline();
  t.equal(timeline.amend(edit(9, 100, 'x')), false);
  const notice = { type: 'memberLeft', n: 1, pos: 1, at: 1, by: 'bob', id: 'id-1' } as unknown as HistoryEntry;
  t.equal(amended(notice, edit(1, 9, 'x')), notice);
});

t.test('a hundred thousand that arrive are no more at hand than the bound, and what is looked at stays', async (t) => {
  const timeline = new Timeline();
  for (let n = 1; n <= 100_000; n++) {
    timeline.put(message(n));
    timeline.trim(500, 540);
    if (timeline.size > MAX_AT_HAND + 1) t.fail(`${timeline.size} at hand`);
  }
  t.equal(timeline.last, 100_000);
  t.equal(timeline.at(50_000), undefined);
  t.equal(textOf(timeline.at(520)), 'm520');
  t.same(timeline.missing(50_000, 50_010), { from: 50_000, to: 50_010 });
  const gone: Entry = edit(50_000, 2_000_000, 'x');
  t.equal(timeline.amend(gone), false, 'let go of, also by its id');
});
