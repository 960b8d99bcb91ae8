// long because: one fold, one small language to tell its logs in
import fc from 'fast-check';
import t from 'tap';
import { type ConversationId, directConversationId, type UserId } from '../../src/domain/ids.ts';
import type { LogEvent } from '../../src/ports/conversation-log.ts';
import type { ResumePoint, Span } from '../../src/ports/inbox-writer.ts';
import { countReadable, foldReadable, foldWindow, SEEN_HORIZON_MS } from '../../src/projections/fan-out.ts';
import { MAX_COPIES, planFor } from '../../src/projections/fan-out-plan.ts';
import { MemoryFanOutState } from '../../src/projections/memory-fan-out-state.ts';
import { cutterFor } from '../../src/projections/window-cutter.ts';
import { bytes, conversation, msgId, user, users } from '../support/given.ts';
import { log, type Part, says } from '../support/logged.ts';

const [alice, bob, carol] = users('alice', 'bob', 'carol') as [UserId, UserId, UserId];
const group = conversation('rooks');
const direct = directConversationId(alice, bob);

const creates = (...members: UserId[]): Part => ({ type: 'groupCreated', by: alice, name: 'Rooks', members });

/** What each user's inbox holds after a fold in the given windows: `type` or code, and the index. */
function inboxesOf(events: readonly LogEvent[], cuts: readonly number[] = []): Record<string, string[]> {
  const state = new MemoryFanOutState();
  const inboxes: Record<string, string[]> = {};
  const bounds = [0, ...cuts.filter((cut) => cut > 0 && cut < events.length).sort((a, b) => a - b), events.length];
  for (let i = 0; i + 1 < bounds.length; i++) {
    const { runs, changes } = foldWindow(state, events.slice(bounds[i], bounds[i + 1]));
    state.apply(changes);
    for (const { audience, entries, conversation: of } of runs) {
      for (const reader of audience) {
        inboxes[reader] ??= [];
        for (const entry of entries) {
          const what = entry.type === 'rejected' ? entry.code : entry.type;
          inboxes[reader].push(`${of}@${entry.pos} ${what}${'n' in entry ? ` ${entry.n}` : ''}`);
        }
      }
    }
  }
  return inboxes;
}

t.test('every member sees exactly what lies between joining and leaving', async (t) => {
  const inboxes = inboxesOf(
    log(
      [group, creates(bob)],
      [group, says(alice)],
      [group, { type: 'membersAdded', by: alice, members: [carol] }],
      [group, says(bob)],
      [group, { type: 'membersRemoved', by: alice, members: [bob] }],
      [group, says(carol)],
      [group, says(bob)],
    ),
  );
  t.same(inboxes.carol, [
    'rooks@3 membersAdded 3',
    'rooks@4 message 4',
    'rooks@5 membersRemoved 5',
    'rooks@6 message 6',
  ]);
  t.same(inboxes.bob?.slice(-2), ['rooks@5 membersRemoved 5', 'rooks@7 NOT_A_MEMBER']);
});

t.test(
  'a repeated id makes no second message, in the same window or long after, also once the sender may send no more',
  async (t) => {
    const events = log(
      [group, creates(bob)],
      [group, says(bob, 'x')],
      [group, says(bob, 'x')],
      [group, { type: 'membersRemoved', by: alice, members: [bob] }],
      [group, says(bob, 'x')],
    );
    for (const cuts of [[], [2], [1, 2, 3, 4]]) {
      const inboxes = inboxesOf(events, cuts);
      t.same(inboxes.alice, ['rooks@1 groupCreated 1', 'rooks@2 message 2', 'rooks@4 membersRemoved 3']);
      t.same(
        inboxes.bob?.filter((line) => line.includes('duplicate')),
        ['rooks@3 duplicate', 'rooks@5 duplicate'],
      );
    }
  },
);

t.test('a UUIDv7 older than the horizon is refused, however new it is to the fold', async (t) => {
  const made = 1_645_557_742_000;
  const id = '017f22e2-79b0-7cc3-98c4-dc0c0c07398f';
  t.same(inboxesOf(log([direct, says(alice, id), made + SEEN_HORIZON_MS])).alice, [`${direct}@1 MESSAGE_ID_EXPIRED`]);
  t.same(inboxesOf(log([direct, says(alice, id), made + SEEN_HORIZON_MS - 1])).alice, [`${direct}@1 message 1`]);
});

t.test('an id that says it is from beyond the horizon is remembered no longer than any other', async (t) => {
  const id = 'ffffffff-ffff-7fff-bfff-ffffffffffff';
  const events = (later: number) => log([direct, says(alice, id), 1_000], [direct, says(alice, id), 1_000 + later]);
  t.match(inboxesOf(events(SEEN_HORIZON_MS - 1)).alice?.[1], /duplicate/);
  t.match(inboxesOf(events(SEEN_HORIZON_MS)).alice?.[1], /message 2/);
});

t.test('an id may be used again by somebody else, elsewhere, or past the horizon', async (t) => {
  const events = log(
    [direct, says(alice, 'x'), 1],
    [direct, says(bob, 'x'), 2],
    [group, creates(bob), 3],
    [group, says(alice, 'x'), 4],
    [direct, says(alice, 'x'), 1 + SEEN_HORIZON_MS],
  );
  t.equal(inboxesOf(events).bob?.filter((line) => line.includes('message')).length, 4);
});

t.test('the blocked learn of the block by their own rejected message alone', async (t) => {
  const inboxes = inboxesOf(
    log([direct, { type: 'userBlocked', by: alice }], [direct, says(bob)], [direct, says(alice)]),
  );
  t.same(inboxes.bob, [`${direct}@2 BLOCKED`, `${direct}@3 message 1`]);
  t.same(inboxes.alice, [`${direct}@1 userBlocked`, `${direct}@3 message 1`]);
});

t.test(
  'a read mark goes to the reader’s devices and, in a direct conversation, to the other; only forwards',
  async (t) => {
    const read = (by: UserId, upTo: number): Part => ({ type: 'conversationRead', by, upTo });
    const inboxes = inboxesOf(
      log(
        [direct, says(alice)],
        [direct, says(alice)],
        [direct, read(bob, 2)],
        [direct, read(bob, 1)],
        [direct, read(bob, 9)],
      ),
    );
    t.same(inboxes.alice?.slice(2), [`${direct}@3 conversationRead`]);
    t.same(inboxes.bob?.slice(2), [`${direct}@3 conversationRead`, `${direct}@5 INDEX_BEYOND_END`]);
  },
);

t.test(
  'while one of two has blocked the other neither hears how far the other is; then on from the next mark',
  async (t) => {
    const mark = (type: 'conversationRead' | 'conversationDelivered', by: UserId, upTo: number): Part => ({
      type,
      by,
      upTo,
    });
    const inboxes = inboxesOf(
      log(
        ...([1, 2, 3].flatMap(() => [
          [direct, says(alice)],
          [direct, says(bob)],
        ]) as [typeof direct, Part][]),
        [direct, { type: 'userBlocked', by: alice }],
        [direct, mark('conversationDelivered', alice, 2)],
        [direct, mark('conversationRead', alice, 4)],
        [direct, mark('conversationRead', bob, 3)],
        [direct, mark('conversationDelivered', bob, 5)],
        [direct, { type: 'userUnblocked', by: alice }],
        [direct, mark('conversationRead', alice, 4)],
        [direct, mark('conversationRead', alice, 6)],
      ),
    );
    const marksOf = (user: UserId) => inboxes[user]?.filter((entry) => /Delivered|Read/.test(entry));
    t.same(
      marksOf(bob),
      [`${direct}@10 conversationRead`, `${direct}@14 conversationRead`],
      'his own, and what came after',
    );
    t.same(marksOf(alice), [`${direct}@9 conversationRead`, `${direct}@14 conversationRead`]);
  },
);

t.test('what was delivered goes to who has sent it, only forwards, and not behind what was read', async (t) => {
  const delivered = (by: UserId, upTo: number): Part => ({ type: 'conversationDelivered', by, upTo });
  const inboxes = inboxesOf(
    log(
      [direct, says(alice)],
      [direct, says(alice)],
      [direct, says(alice)],
      [direct, delivered(bob, 1)],
      [direct, delivered(bob, 1)],
      [direct, { type: 'conversationRead', by: bob, upTo: 2 }],
      [direct, delivered(bob, 2)],
      [direct, delivered(bob, 3)],
      [direct, delivered(bob, 4)],
      [group, creates(bob)],
      [group, delivered(bob, 1)],
      [direct, { type: 'userBlocked', by: alice }],
      [direct, says(alice)],
      [direct, delivered(bob, 4)],
    ),
  );
  const marks = inboxes.alice?.filter((entry) => /Delivered|Read/.test(entry));
  t.same(marks, [
    `${direct}@4 conversationDelivered`,
    `${direct}@6 conversationRead`,
    `${direct}@8 conversationDelivered`,
  ]);
  t.same(
    inboxes.bob?.filter((entry) => /Delivered|INDEX|NOT_A/.test(entry)),
    [`${direct}@9 INDEX_BEYOND_END`, `${group}@11 NOT_A_DIRECT_CONVERSATION`],
    'nothing to one’s own devices but what is wrong',
  );
});

t.test('an event that makes the fold throw stops nobody', async (t) => {
  const broken = { type: 'membersAdded', by: alice, members: 7 } as unknown as Part;
  const { runs, unreadable } = foldReadable(
    new MemoryFanOutState(),
    log([group, creates(bob)], [group, broken], [group, says(bob)]),
  );
  t.match(unreadable, [{ pos: 2, reason: /the fold failed/ }]);
  t.equal(runs.flatMap(({ entries }) => entries).length, 2);
});

// ---- properties ----

const people = users('u0', 'u1', 'u2', 'u3');
const person = fc.constantFrom(...people);
const place = fc.constantFrom(
  conversation('g0'),
  conversation('g1'),
  directConversationId(people[0] as UserId, people[1] as UserId),
);
const anyPart: fc.Arbitrary<Part> = fc.oneof(
  { weight: 6, arbitrary: fc.record({ by: person, id: fc.nat(30) }).map(({ by, id }) => says(by, `m${id}`)) },
  {
    weight: 2,
    arbitrary: fc
      .record({ by: person, members: fc.subarray(people) })
      .map((p) => ({ type: 'groupCreated', name: 'x', ...p }) as Part),
  },
  {
    weight: 1,
    arbitrary: fc
      .record({ by: person, members: fc.subarray(people, { minLength: 1 }) })
      .map((p) => ({ type: 'membersAdded', ...p }) as Part),
  },
  {
    weight: 1,
    arbitrary: fc
      .record({ by: person, members: fc.subarray(people, { minLength: 1 }) })
      .map((p) => ({ type: 'membersRemoved', ...p }) as Part),
  },
  { weight: 1, arbitrary: person.map((by) => ({ type: 'memberLeft', by }) as Part) },
  { weight: 1, arbitrary: person.map((by) => ({ type: 'userBlocked', by }) as Part) },
  {
    weight: 1,
    arbitrary: fc.record({ by: person, upTo: fc.nat(6) }).map((p) => ({ type: 'conversationRead', ...p }) as Part),
  },
  {
    weight: 1,
    arbitrary: fc.record({ by: person, upTo: fc.nat(6) }).map((p) => ({ type: 'conversationDelivered', ...p }) as Part),
  },
  { weight: 3, arbitrary: fc.constant(undefined).chain(() => anyGroupPart) },
  { weight: 3, arbitrary: fc.constant(undefined).chain(() => anyChange) },
);
const ANY_INVITE = 'invite-for-anybody';
/** What only some groups know: settings, mutes, ways in. */
const anyGroupPart: fc.Arbitrary<Part> = fc.record({ by: person, member: person, coin: fc.boolean() }).chain((p) =>
  fc.constantFrom<Part>(
    { type: 'groupChanged', by: p.by, settings: { joinPolicy: p.coin ? 'open' : 'approval' } },
    {
      type: 'groupChanged',
      by: p.by,
      settings: { newcomersSee: p.coin ? 'everything' : 'nothing', mutedAll: p.coin },
    },
    { type: 'memberMuted', by: p.by, member: p.member, until: p.coin ? 30_000 : 0 },
    { type: 'memberJoined', by: p.by, ...(p.coin && { invite: ANY_INVITE }) },
    { type: 'joinRequested', by: p.by, greeting: '' },
    { type: 'joinDeclined', by: p.by, member: p.member },
    { type: 'inviteCreated', by: p.by, invite: ANY_INVITE, expiresAt: p.coin ? 40_000 : 0, maxUses: 2 },
    { type: 'inviteRevoked', by: p.by, invite: ANY_INVITE },
    { type: 'contactRequested', by: p.by, greeting: '' },
    { type: p.coin ? 'contactDeclined' : 'contactRemoved', by: p.by },
  ),
);
const anyChange: fc.Arbitrary<Part> = fc
  .record({ by: person, of: person, id: fc.nat(30), recall: fc.boolean() })
  .map(({ by, of, id, recall }) => (recall ? recalls(by, `m${id}`, of) : edits(by, `m${id}`)));
const anyLog = fc.array(fc.tuple(place, anyPart), { minLength: 1, maxLength: 60 }).map((parts) => log(...parts));
const anyCuts = fc.array(fc.nat(60), { maxLength: 12 });

/** The order across conversations within a window is not promised; within one it is. */
function perConversation(inboxes: Record<string, string[]>): Record<string, string[]> {
  const split: Record<string, string[]> = {};
  for (const [reader, lines] of Object.entries(inboxes)) {
    for (const line of lines) {
      const key = `${reader} in ${line.split('@')[0]}`;
      split[key] ??= [];
      split[key].push(line);
    }
  }
  return split;
}

const sorted = (record: Record<string, string[]>) => Object.fromEntries(Object.entries(record).sort());

t.test('however the log is cut into windows, every inbox is the same', async (t) => {
  fc.assert(
    fc.property(anyLog, anyCuts, (events, cuts) => {
      t.same(sorted(perConversation(inboxesOf(events, cuts))), sorted(perConversation(inboxesOf(events))));
    }),
    { numRuns: 300 },
  );
});

t.test('entries that are only counted are as many as those that are made', async (t) => {
  fc.assert(
    fc.property(anyLog, anyCuts, (events, cuts) => {
      const [made, counted] = [new MemoryFanOutState(), new MemoryFanOutState()];
      const bounds = [0, ...cuts.filter((cut) => cut < events.length).sort((a, b) => a - b), events.length];
      for (let i = 0; i + 1 < bounds.length; i++) {
        const window = events.slice(bounds[i], bounds[i + 1]);
        const { runs, ...folded } = foldReadable(made, window);
        const { counts, ...same } = countReadable(counted, window);
        t.same(same, folded, 'what was taken and refused, and what has changed');
        made.apply(folded.changes);
        counted.apply(same.changes);
        const beside = runs.flatMap(({ entries, timeline }) => (timeline ? [] : entries));
        t.equal(
          counts.entries,
          runs.reduce((sum, { audience, entries }) => sum + audience.length * entries.length, 0),
        );
        t.equal(counts.duplicates, beside.filter(({ type }) => type === 'duplicate').length);
        const codes = beside.flatMap((entry) => (entry.type === 'rejected' ? [entry.code] : []));
        t.same([...counts.refused].flatMap(([code, count]) => Array(count).fill(code)).sort(), codes.sort());
      }
    }),
    { numRuns: 300 },
  );
});

t.test(
  'in every inbox a conversation’s indexes are gapless between joining and leaving, and positions only grow',
  async (t) => {
    fc.assert(
      fc.property(anyLog, anyCuts, (events, cuts) => {
        const all = new Map<string, number>();
        for (const [key, lines] of Object.entries(perConversation(inboxesOf(events, cuts)))) {
          let lastPos = 0;
          let lastIndex = 0;
          for (const line of lines) {
            const [, pos = '', what = '', n = ''] = /@(\d+) (\w+) ?(\d*)/.exec(line) ?? [];
            t.ok(Number(pos) > lastPos, `${key}: ${line}`);
            lastPos = Number(pos);
            if (!n) continue;
            // A jump is right exactly where the reader joins again.
            t.ok(
              Number(n) === lastIndex + 1 || lastIndex === 0 || what === 'membersAdded',
              `${key}: ${line} after ${lastIndex}`,
            );
            lastIndex = Number(n);
            const at = `${key.split(' in ')[1]}#${n}`;
            t.equal(all.get(at) ?? Number(pos), Number(pos), 'an index names one position, whoever sees it');
            all.set(at, Number(pos));
          }
        }
      }),
      { numRuns: 200 },
    );
  },
);

t.test(
  'a plan gives each recipient each run once, in one INBOX stream, as a copy or as a pointer to a pack before it',
  async (t) => {
    const topology = { convStreams: 1, inboxStreams: 2 };
    for (const size of [1, MAX_COPIES, 2 * MAX_COPIES, 200]) {
      const members = Array.from({ length: size }, (_, i) => user(`m${i}`));
      const { runs } = foldWindow(
        new MemoryFanOutState(),
        log([group, creates(...members)], [group, says(alice)], [group, says(alice)]),
      );
      const plans = [0, 1].map((k) => planFor(runs, 0, k, topology));
      const inboxes = plans
        .flat()
        .filter(({ kind }) => kind !== 'pack')
        .map(({ subject }) => subject);
      t.equal(inboxes.length, size + 1);
      t.equal(new Set(inboxes).size, size + 1);
      for (const plan of plans) {
        for (const { kind, body } of plan) {
          if (kind !== 'pointer') continue;
          const packOffset = new DataView(body.buffer, body.byteOffset).getUint32(0);
          t.equal(plan[packOffset]?.kind, 'pack');
        }
      }
    }
  },
);

t.test('after a restart windows are cut so that what is stored in part is formed again exactly', async (t) => {
  const span = fc
    .record({ from: fc.integer({ min: 1, max: 40 }), length: fc.nat(10) })
    .map(({ from, length }): Span => ({ from, to: from + length }));
  const windows = fc.uniqueArray(span, {
    minLength: 1,
    maxLength: 3,
    comparator: (a, b) => a.from <= b.to && b.from <= a.to,
  });
  fc.assert(
    fc.property(
      windows,
      fc.array(fc.boolean(), { minLength: 3, maxLength: 3 }),
      fc.integer({ min: 1, max: 30 }),
      (spans, whole, most) => {
        const points: ResumePoint[] = spans.map((window, i) => ({
          window,
          records: whole[i] ? Number.POSITIVE_INFINITY : 3,
        }));
        const cutter = cutterFor(points);
        const formed: Span[] = [];
        // A log of 60 events; windows begin where they may, so those stored in part are met at their beginning.
        for (let from = 1; from <= 60; ) {
          const { to, exact } = cutter.limit(from);
          const end = exact ? to : Math.min(to, from + most - 1, 60);
          formed.push({ from, to: end });
          from = end + 1;
        }
        for (const [k, { window, records }] of points.entries()) {
          const isPartial = records !== Number.POSITIVE_INFINITY;
          const match = formed.find(({ from }) => from === window.from);
          if (isPartial) t.same(match, window);
          for (const one of formed) {
            const stored = cutter.stored(k, one);
            const expected =
              one.to < window.from || (!isPartial && one.to <= window.to)
                ? Number.POSITIVE_INFINITY
                : one.from > window.to
                  ? 0
                  : records;
            t.equal(stored, expected, `${JSON.stringify(one)} against ${JSON.stringify(window)}`);
            t.notOk(one.from <= window.to && one.to > window.to, 'no window reaches across what is stored');
          }
        }
      },
    ),
    { numRuns: 200 },
  );
});

// ---- edits and recalls ----

const edits = (by: UserId, id: string, text = 'better'): Part => ({
  type: 'messageEdited',
  by,
  target: { by, id: msgId(id) },
  contentType: 'text/plain',
  body: bytes(text),
});
const recalls = (by: UserId, id: string, of = by): Part => ({
  type: 'messageRecalled',
  by,
  target: { by: of, id: msgId(id) },
});

t.test('an edit reaches those who may see the message, beside the timeline, in whatever window', async (t) => {
  const events = log(
    [group, creates(bob)],
    [group, says(alice, 'm')],
    [group, { type: 'membersAdded', by: alice, members: [carol] }],
    [group, edits(alice, 'm')],
    [group, says(alice)],
  );
  const expected = [`${group}@4 messageEdited`, `${group}@5 message 4`];
  for (const cuts of [[], [1], [2], [3], [1, 2, 3, 4]]) {
    const inboxes = inboxesOf(events, cuts);
    t.same(inboxes.bob?.slice(-2), expected);
    t.same(inboxes.carol, [`${group}@3 membersAdded 3`, `${group}@5 message 4`], 'carol never saw the message');
  }
});

t.test('what is recalled is gone for further changes; a retry of it stays a retry', async (t) => {
  const events = log(
    [direct, says(alice, 'm')],
    [direct, recalls(alice, 'm')],
    [direct, edits(alice, 'm')],
    [direct, recalls(alice, 'm')],
    [direct, says(alice, 'm')],
  );
  for (const cuts of [[], [1], [2], [1, 2, 3, 4]]) {
    const { bob: theirs, alice: own } = inboxesOf(events, cuts);
    t.same(theirs, [`${direct}@1 message 1`, `${direct}@2 messageRecalled`]);
    t.same(own?.slice(2), [`${direct}@3 MESSAGE_GONE`, `${direct}@4 MESSAGE_GONE`, `${direct}@5 duplicate`]);
  }
});

t.test('what is no message, unknown, another’s or too old cannot be changed', async (t) => {
  const late = SEEN_HORIZON_MS + 5_000;
  const inboxes = inboxesOf(
    log(
      [group, { ...creates(bob), id: 'create' }],
      [group, says(bob, 'theirs')],
      [group, edits(alice, 'create')],
      [group, edits(alice, 'nothing')],
      [group, edits(bob, 'nothing')],
      [group, recalls(bob, 'create', alice)],
      [group, edits(bob, 'theirs'), late],
    ),
  );
  t.same(inboxes.alice?.slice(2), [`${group}@3 MESSAGE_GONE`, `${group}@4 MESSAGE_GONE`]);
  t.same(inboxes.bob?.slice(2), [`${group}@5 MESSAGE_GONE`, `${group}@6 NOT_ALLOWED`, `${group}@7 MESSAGE_GONE`]);
});

t.test('who knocks is heard by owner and admins, and an invite is nobody else’s business', async (t) => {
  const invite = 'an-invite-of-some-length';
  const inboxes = inboxesOf(
    log(
      [group, creates(bob)],
      [group, { type: 'groupChanged', by: alice, settings: { joinPolicy: 'approval' } }],
      [group, { type: 'joinRequested', by: carol, greeting: 'hello' }],
      [group, { type: 'joinDeclined', by: alice, member: carol }],
      [group, { type: 'inviteCreated', by: alice, invite, expiresAt: 0, maxUses: 1 }],
      [group, { type: 'memberJoined', by: carol, invite }],
    ),
  );
  t.same(inboxes.carol, [`${group}@3 joinRequested`, `${group}@4 joinDeclined`, `${group}@6 memberJoined 3`]);
  t.same(inboxes.bob, [`${group}@1 groupCreated 1`, `${group}@2 groupChanged 2`, `${group}@6 memberJoined 3`]);
  t.same(inboxes.alice?.slice(2), [
    `${group}@3 joinRequested`,
    `${group}@4 joinDeclined`,
    `${group}@5 inviteCreated`,
    `${group}@6 memberJoined 3`,
  ]);
  const { runs } = foldWindow(
    new MemoryFanOutState(),
    log(
      [group, creates(bob)],
      [group, { type: 'inviteCreated', by: alice, invite, expiresAt: 0, maxUses: 1 }],
      [group, { type: 'memberJoined', by: carol, invite }],
    ),
  );
  const joined = runs.flatMap(({ entries }) => entries).find(({ type }) => type === 'memberJoined');
  t.notOk(JSON.stringify(joined).includes(invite), 'who joins does not show everybody the key');
});

t.test('an edit in a large group is written once, with pointers to it', async (t) => {
  const many = Array.from({ length: 2 * MAX_COPIES }, (_, i) => user(`u${i}`));
  const { runs } = foldWindow(
    new MemoryFanOutState(),
    log([group, creates(...many)], [group, says(alice, 'm')], [group, edits(alice, 'm', 'x'.repeat(10_000))]),
  );
  const plan = planFor(runs, 0, 0, { convStreams: 1, inboxStreams: 1 });
  const kinds = plan.slice(-(many.length + 2)).map(({ kind }) => kind);
  t.same(kinds, ['pack', ...Array.from({ length: many.length + 1 }, () => 'pointer')]);
});

t.test('a contact request reaches the other, an answer both, and who has blocked hears nothing', async (t) => {
  const inboxes = inboxesOf(
    log(
      [direct, { type: 'contactRequested', by: alice, greeting: 'hi' }],
      [direct, { type: 'contactDeclined', by: bob }],
      [direct, { type: 'userBlocked', by: alice }],
      [direct, { type: 'contactRequested', by: bob, greeting: 'but now' }],
      [direct, { type: 'userUnblocked', by: alice }],
      [direct, { type: 'contactRequested', by: bob, greeting: 'and now' }],
      [direct, { type: 'contactRequested', by: alice, greeting: '' }],
      [direct, { type: 'userBlocked', by: bob }],
      [direct, { type: 'contactRemoved', by: alice }],
    ),
  );
  t.same(inboxes.bob, [
    `${direct}@1 contactRequested`,
    `${direct}@2 contactDeclined`,
    `${direct}@4 BLOCKED`,
    `${direct}@6 contactRequested`,
    `${direct}@7 contactRequested`,
    `${direct}@8 userBlocked`,
  ]);
  t.equal(inboxes.alice?.at(-1), `${direct}@9 contactRemoved`);
});

t.test('preferences go to one’s own devices', async (t) => {
  const self = directConversationId(alice, alice);
  const set = (about: ConversationId | ''): Part => ({
    type: 'preferencesChanged',
    by: alice,
    about,
    preferences: { draft: 'I meant to' },
  });
  t.same(inboxesOf(log([self, set('')], [direct, set(direct)])), {
    alice: [`${self}@1 preferencesChanged`, `${direct}@2 preferencesChanged`],
  });
});

t.test('no run outgrows what a stream takes of one message, whatever fills its entries', async (t) => {
  const long = (c: string, k: number): UserId => user(`${k}${c.repeat(100)}`);
  const stuffed = (): Part => ({
    type: 'messageSent',
    by: alice,
    contentType: 'x'.repeat(127),
    keyId: '钥'.repeat(42),
    body: bytes('.'),
    mentions: Array.from({ length: 256 }, (_, k) => long('m', k)),
  });
  const events = log(
    [group, creates(...Array.from({ length: 900 }, (_, k) => long('u', k)))],
    ...Array.from({ length: 200 }, (): [ConversationId, Part] => [group, stuffed()]),
  );
  const { runs } = foldWindow(new MemoryFanOutState(), events);
  const plan = planFor(runs, 0, 0, { convStreams: 1, inboxStreams: 1 });
  const largest = Math.max(...plan.map(({ body }) => body.length));
  t.ok(largest < 512 * 1_024, `${largest} bytes`);
  t.ok(runs.length < 100, 'and they are still gathered');
});
