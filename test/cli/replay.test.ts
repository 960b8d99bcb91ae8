/** `rookery replay --to` and `rookery diff`: how things stood, against what a read model said when they did. */
import t from 'tap';
import { hiddenText } from '../../src/cli/state-changes.ts';
import { directConversationId, type UserId } from '../../src/domain/ids.ts';
import { conversation, msgId, user, users } from '../support/given.ts';
import { type Said, says, startOperated } from '../support/operated.ts';
import { eventually } from '../support/waiting.ts';

const [alice, bob, carol] = users('alice', 'bob', 'carol') as [UserId, UserId, UserId];
const direct = directConversationId(alice, bob);
const group = conversation('rooks');
const scene = await startOperated({ convStreams: 2, inboxStreams: 1 });
t.teardown(() => scene.stop());
const { append, run, json } = scene;

/** What comes next happens at another time: of two streams only that says which came first. */
async function clockMoves(): Promise<void> {
  const now = Date.now();
  await eventually(() => Date.now() > now, 'a millisecond is over');
}

const created = await append(group, { type: 'groupCreated', by: alice, name: 'Rooks', members: [bob] });
await clockMoves();
await append(direct, says(alice, 'hi'));
await clockMoves();
await append(group, says(alice, 'one'), 'first');
const two = await append(group, says(alice, 'two'));
const read = await append(group, { type: 'conversationRead', by: bob, upTo: 2 } as Said);
const joined = await append(group, { type: 'membersAdded', by: alice, members: [carol] } as Said);
const edited = await append(group, {
  ...says(alice, 'one, corrected'),
  type: 'messageEdited',
  target: { by: alice, id: msgId('first') },
} as Said);
await append(group, says(user('mallory'), 'let me in'));
await append(group, { type: 'conversationRead', by: bob, upTo: 2 } as Said);
const { stream } = (await json('tail', '-n', '1', '--no-follow', '--conversation', group))[0] as { stream: string };
const at = (pos: number): string => `${stream}@${pos}`;
const groupAt = async (place: string) => (await json('replay', '--to', place, '--conversation', group))[0];

t.test('a conversation as it stood: members, settings, marks, what was shown', async (t) => {
  t.match(await groupAt(at(created)), {
    kind: 'group',
    name: 'Rooks',
    lastIndex: 1,
    timeline: [{ type: 'groupCreated' }],
  });
  t.match(await groupAt(at(two)), { lastIndex: 3, members: { bob: { role: 'member', unread: 2, readUpTo: 1 } } });
  t.match(await groupAt(at(read)), {
    members: { bob: { unread: 1, readUpTo: 2 }, alice: { role: 'owner', unread: 0 } },
  });
  t.notOk((await groupAt(at(read)))?.members?.['carol' as never]);
  t.match(await groupAt(at(joined)), {
    lastIndex: 4,
    members: { carol: { role: 'member' } },
    timeline: { 1: { text: 'one' } },
  });
  t.match(await groupAt('now'), { timeline: { 1: { text: 'one, corrected', edited: { pos: edited } } } });
});

t.test('a user as they stood: list, unread, inbox', async (t) => {
  const bobAt = async (place: string) => (await json('replay', '--to', place, '--user', bob))[0];
  t.match(await bobAt(at(two)), {
    badge: { unread: 3, conversations: 2 },
    conversations: [
      { conversation: group, unread: 2 },
      { conversation: direct, unread: 1 },
    ],
    inbox: [{ type: 'groupCreated' }, { text: 'hi' }, { text: 'one' }, { text: 'two' }],
  });
  t.match(await bobAt(at(read)), { badge: { unread: 2 } });
  t.match((await json('replay', '--to', 'now', '--user', carol))[0], { inbox: [{ type: 'membersAdded', n: 4 }] });
});

t.test('the whole log: what came of each event, also of one that changed nothing', async (t) => {
  t.match((await json('replay', '--to', 'now'))[0], {
    events: 9,
    accepted: 7,
    unchanged: 1,
    refused: { NOT_A_MEMBER: 1 },
    duplicates: 0,
  });
  const { stdout } = await run('replay', '--to', 'now');
  const counted = new Map(
    [...stdout.matchAll(/^ +([a-z]\w*(?: \w+)?) +(\d+)$/gm)].map(([, what = '', n]) => [what, Number(n)]),
  );
  t.same(
    [...counted],
    [
      ['events read', 9],
      ['accepted', 7],
      ['changed nothing', 1],
      ['duplicates', 0],
      ['refused NOT_A_MEMBER', 1],
      ['unreadable', 0],
      ['inbox entries', counted.get('inbox entries')],
    ],
  );
  t.match(
    (await run('replay', '--to', 'now', '--conversation', group)).stdout,
    /rooks {2}group "Rooks", index 4\n +alice +owner/,
  );
});

t.test('to a program a time is ISO 8601, and a position stands by itself', async (t) => {
  const iso = /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/;
  t.match(await groupAt(at(two)), { at: iso, position: at(two) });
  const [whole] = await json('replay', '--to', 'now');
  t.match(whole, { at: iso });
  t.match(String(whole?.seconds), /^\d+(\.\d{1,3})?$/);
  t.notOk(Object.hasOwn(whole ?? {}, 'position'));
});

t.test('what has changed between two times', async (t) => {
  const changes = await json('diff', at(read), 'now', '--conversation', group);
  t.same(changes.map(({ field }) => field).sort(), [
    'lastIndex',
    'members.alice.readUpTo',
    'members.bob.unread',
    'members.carol',
    'timeline.2.edited',
    'timeline.2.text',
    'timeline.4',
  ]);
  t.match((await run('diff', at(read), 'now', '--conversation', group)).stdout, /^~ lastIndex {2}3 → 4$/m);
  t.match(await run('diff', at(read), at(read), '--user', bob), { code: 0, stdout: /no difference/ });
  const whole = { code: 1, stderr: '' };
  t.match(await run('diff', at(created), 'now', '--conversation', group), whole);
  const part = await run('diff', at(created), 'now', '--conversation', group, '-n', '1');
  t.match(part.stderr, /^… and 2 more entries: -n 3\n$/, 'entries that are not shown are told of');
  t.notMatch(part.stdout, /^- timeline/m, 'and what is not among the newest any more is not gone');
  t.match(await run('diff', at(created), 'now', '--user', bob), whole);
  const some = await run('diff', at(created), 'now', '--user', bob, '-n', '2');
  t.match(some.stderr, /^… and \d more entries/);
  t.notMatch(some.stdout, /^- inbox/m);
});

t.test('what is new and not compared is counted, and the hint can be followed', async (t) => {
  t.equal(hiddenText({ entries: 0, conversations: 0 }, 20, 9_999), undefined);
  t.equal(hiddenText({ entries: 1, conversations: 0 }, 20, 9_999), '… and 1 more entry: -n 21');
  t.equal(
    hiddenText({ entries: 40, conversations: 12 }, 20, 9_999),
    '… and 40 more entries and 12 more conversations: -n 60',
  );
  const tooMany = '… and 60027 more entries: more than can be compared at once, take a shorter span';
  for (const lines of [20, 9_999]) t.equal(hiddenText({ entries: 60_027, conversations: 0 }, lines, 9_999), tooMany);

  const started = at(await append(group, says(alice, 'before')));
  await clockMoves();
  const dora = user('dora');
  for (const name of ['a', 'b', 'c', 'd'])
    await append(conversation(`nest-${name}`), { type: 'groupCreated', by: alice, name, members: [dora] });
  const some = await run('diff', started, 'now', '--user', dora, '-n', '3');
  t.equal(some.stderr, '… and 1 more entry and 1 more conversation: -n 4\n');
  t.equal((await run('diff', started, 'now', '--user', dora, '-n', '4')).stderr, '', 'and that is all of it');
  for (let i = 0; i < 4; i++) await append(group, says(alice, 'x'.repeat(250_000)));
  const long = await run('diff', started, 'now', '--conversation', group);
  t.match(long.stderr, /^… and \d more entr(y|ies): more than can be compared at once, take a shorter span\n$/);
});

t.test('bad input is refused with a code', async (t) => {
  const cases: [string[], RegExp][] = [
    [['replay', '--to', 'CONV_0@99999', '--user', bob], /^NOT_FOUND: CONV_0@99999 is beyond the end/],
    [['replay', '--to', '2026-02-30T99:00', '--user', bob], /^BAD_REQUEST: 2026-02-30T99:00: this is neither/],
    [['replay', '--to', 'now', '--conversation', 'nowhere'], /^NOT_FOUND: there was no conversation nowhere then/],
    [['replay', '--to', 'now', '--conversation', 'nowhere', '--json'], /^NOT_FOUND: there was no conversation nowhere/],
    [['diff', '1d', 'now', '--conversation', 'nowhere'], /^NOT_FOUND: there was no conversation nowhere then/],
    [['replay', '--to', 'now', '--user', 'nobody'], /^NOT_FOUND: the conversations knew no user nobody then/],
    [['replay', '--to', '2001-01-01', '--conversation', group], /^NOT_FOUND: there was no conversation rooks then/],
    [
      ['replay', '--to', 'now', '--conversation', group, '--user', bob],
      /^BAD_REQUEST: either --conversation or --user/,
    ],
    [['replay', '--to', 'now', '--user', bob, '-n', '0'], /^BAD_REQUEST: --lines 0/],
    [['replay', '--to', 'now', '--user', ''], /^BAD_ID: the user/],
    [['diff', 'now', '1d', '--user', bob], /^BAD_REQUEST: now is behind 1d/],
    [['diff', '2001-02-01', '2001-01-01', '--user', bob], /^BAD_REQUEST: 2001-02-01 is behind 2001-01-01: name/],
    [['diff', '1d', 'now'], /^BAD_REQUEST: of what/],
    [['replay', '--to', 'now', '--filter', 'user=bob'], /^BAD_REQUEST: --filter goes with --into; of --to it is/],
    [['replay', '--to', 'now', '--user', bob, '--speed', '2x'], /^BAD_REQUEST: --speed goes with --into/],
    [['replay', '--to', 'now', '--into-credentials', 'x'], /^BAD_REQUEST: --into-credentials goes with --into/],
    [['replay', '--to', 'now', '-n', '3'], /^BAD_REQUEST: --lines goes with --conversation or --user/],
  ];
  for (const [args, stderr] of cases) {
    t.match(await run(...args), { code: 1, stdout: /^$/, stderr }, args.join(' '));
  }
});
