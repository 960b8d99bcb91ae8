/** The rows of the conversation list, moved on by each entry. */
import t from 'tap';
import type { Entry, ListedConversation } from '../../src/sdk/index.ts';
import { inOrder, isMuted, moved, newRow, type Row, readUpTo, told } from '../../src/web/model/rows.ts';
import { conversation, user } from '../support/given.ts';

const me = user('me');
const room = conversation('direct:bob:me');
const team = conversation('team');

let pos = 0;
const entry = (type: Entry['type'], fields: object): Entry =>
  ({ type, pos: ++pos, at: 1_000 + pos, by: 'bob', id: `id-${pos}`, ...fields }) as unknown as Entry;
const message = (n: number, fields: object = {}): Entry =>
  entry('message', { n, contentType: 'text/plain', body: new Uint8Array([104, 105]), ...fields });
const after = (row: Row, ...entries: Entry[]): Row => entries.reduce((now, next) => moved(now, next, me), row);

t.test('what others write is unread, and counted as a mention where one is named', async (t) => {
  const row = after(newRow(room), message(1), message(2, { mentions: ['me'] }), message(3, { mentionsAll: true }));
  t.match(row, { lastIndex: 3, unread: 3, mentions: 2, kind: 'direct' });
  t.match(row.last, { n: 3 });
});

t.test('an entry that comes again changes nothing', async (t) => {
  const first = message(1);
  const row = after(newRow(room), first, message(2));
  t.equal(moved(row, first, me), row);
});

t.test('what one writes oneself reads all before it, also on another device', async (t) => {
  t.match(after(newRow(room), message(1), message(2), message(3, { by: me })), { unread: 0, readUpTo: 3 });
});

t.test("one's own read mark takes unread away, the other's says how far they are", async (t) => {
  const three = after(newRow(room), message(1), message(2), message(3));
  t.match(after(three, entry('conversationRead', { by: me, upTo: 2 })), { unread: 1, readUpTo: 2 });
  t.match(after(three, entry('conversationRead', { upTo: 3 })), { unread: 3, peerReadUpTo: 3 });
  t.match(after(three, entry('conversationDelivered', { upTo: 2 })), { peerDeliveredUpTo: 2 });
  t.equal(readUpTo(after(three, entry('conversationRead', { by: me, upTo: 3 })), 1).readUpTo, 3, 'never back');
});

t.test('the line shown follows an edit and a recall of the newest message', async (t) => {
  const row = after(newRow(room), message(1));
  const target = { by: 'bob', id: row.last?.id };
  const body = new TextEncoder().encode('better');
  const edited = after(row, entry('messageEdited', { target, contentType: 'text/plain', body }));
  t.same((edited.last as { body?: Uint8Array }).body, body);
  t.ok(after(edited, entry('messageRecalled', { target })).last?.recalled);
});

t.test('preferences are merged; what was hidden comes back with something new', async (t) => {
  const said = after(newRow(room), message(1));
  const row = after(
    said,
    entry('preferencesChanged', { by: me, about: room, preferences: { hidden: true, pinned: true } }),
  );
  t.same(row.preferences, { hidden: true, pinned: true });
  t.same(after(row, message(2)).preferences, { pinned: true });
});

t.test('a group tells its name and its members; who is put out is out', async (t) => {
  const made = entry('groupCreated', { n: 1, name: 'Team', members: ['me', 'carol'] });
  const row = after(newRow(team), made, entry('groupRenamed', { n: 2, name: 'Seven' }));
  t.match(row, { name: 'Seven', memberCount: 3, unread: 1, kind: 'group' });
  t.match(after(row, entry('membersRemoved', { n: 3, members: ['me'] })), { left: true, memberCount: 2 });
});

const listed = (fields: Partial<ListedConversation>): ListedConversation =>
  ({ ...newRow(team), last: message(1), ...fields }) as ListedConversation;

t.test('what the server tells wins, unless more has come meanwhile', async (t) => {
  const behind = listed({ name: 'Team', lastIndex: 4, unread: 4, readUpTo: 0 });
  t.match(told(undefined, behind), { name: 'Team', unread: 4, lastIndex: 4 });
  const ahead = { ...newRow(team), lastIndex: 6, unread: 2, readUpTo: 4 };
  t.match(told(ahead, behind), { name: 'Team', unread: 2, lastIndex: 6 });
  t.equal(told(ahead, behind).isIncomplete, undefined, 'the name is known now');
  const read = { ...newRow(team), lastIndex: 4, readUpTo: 3, unread: 1 };
  t.match(told(read, behind), { readUpTo: 3, unread: 1 }, 'what was read here is not unread again');
});

t.test('pinned ones first, then the newest; what is archived or hidden is not there', async (t) => {
  const row = (id: string, lastAt: number, preferences = {}): Row => ({
    ...newRow(conversation(id)),
    lastAt,
    preferences,
  });
  const rows = [row('a', 1), row('b', 3), row('c', 2, { pinned: true }), row('d', 9, { archived: true })];
  t.same(
    inOrder([...rows, row('e', 9, { hidden: true })]).map(({ conversation }) => conversation),
    ['c', 'b', 'a'],
  );
  t.same(
    inOrder(rows, true).map(({ conversation }) => conversation),
    ['d'],
  );
});

t.test('muted until a time, or for ever', async (t) => {
  const muted = (mutedUntil: number): boolean => isMuted({ ...newRow(room), preferences: { mutedUntil } }, 1_000);
  t.same([muted(0), muted(999), muted(1_001), muted(-1)], [false, false, true, true]);
});
