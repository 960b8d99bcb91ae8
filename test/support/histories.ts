/** Random histories of a few people in a few conversations, and a read model of them. */
import fc from 'fast-check';
import { SqliteReadModel } from '../../src/adapters/sqlite/read-model.ts';
import { type ConversationId, directConversationId, type UserId } from '../../src/domain/ids.ts';
import type { LogEvent } from '../../src/ports/conversation-log.ts';
import { foldWindow } from '../../src/projections/fan-out.ts';
import { readModelChanges } from '../../src/projections/read-model.ts';
import { bytes, conversation, msgId, users } from './given.ts';
import { log, type Part } from './logged.ts';

/** The time bounds the search for a smaller example, should one fail. */
export const RUNS = { numRuns: 60, interruptAfterTimeLimit: 20_000 };

export const people = users('alice', 'bob', 'carol', '陈晨');
export const [alice, bob] = people as [UserId, UserId];
export const rooms = [conversation('𐌀vens'), conversation('\uffee'), directConversationId(alice, bob)];

/** Writes the log in windows that end where `cuts` say. */
export function written(
  model: SqliteReadModel,
  events: readonly LogEvent[],
  cuts: readonly number[] = [],
): SqliteReadModel {
  const bounds = [0, ...cuts.filter((cut) => cut > 0 && cut < events.length).sort((a, b) => a - b), events.length];
  for (let i = 0; i + 1 < bounds.length; i++) {
    const window = events.slice(bounds[i], bounds[i + 1]);
    if (window.length === 0) continue;
    const { changes, accepted } = foldWindow(model, window);
    model.write(changes, readModelChanges(accepted), window.at(-1)?.pos ?? 0, window.at(-1));
  }
  return model;
}

export function withModel(test: (model: SqliteReadModel) => void): void {
  const model = new SqliteReadModel({ path: ':memory:', log: 'CONV_0' });
  try {
    test(model);
  } finally {
    model.close();
  }
}

/** What is said, and searched for. */
export const WORDS = ['rook', 'crow', 'Rookery', '乌鸦', '鸦'];

/** Later than any history. */
export const MUTED_UNTIL = 5_000;

const anyone = fc.constantFrom(...people);
const some = fc.uniqueArray(anyone, { minLength: 1, maxLength: 3 });
/** Few ids, so that retries, edits and recalls hit. */
const target = fc.record({ by: anyone, id: fc.nat(3).map((i) => msgId(`m${i}`)) });
const content = fc.record(
  {
    contentType: fc.constant('text/plain'),
    body: fc.array(fc.constantFrom(...WORDS), { maxLength: 3 }).map((words) => bytes(words.join(' '))),
    mentions: some,
    mentionsAll: fc.constant(true as const),
    replyTo: fc.nat(9),
  },
  { requiredKeys: ['contentType', 'body'] },
);
/** Stands for the conversation in which it happens. */
const HERE = conversation('here');
const settable = {
  pinned: fc.boolean(),
  archived: fc.boolean(),
  hidden: fc.boolean(),
  markedUnread: fc.boolean(),
  mutedUntil: fc.constantFrom(-1, 0, MUTED_UNTIL),
  draft: fc.constantFrom('', 'I meant to'),
};
const part: fc.Arbitrary<Part> = fc.oneof(
  {
    weight: 9,
    arbitrary: fc
      .tuple(target, content)
      .map(([{ by, id }, said]) => ({ type: 'messageSent' as const, by, id, ...said })),
  },
  { weight: 3, arbitrary: fc.record({ type: fc.constant('conversationRead' as const), by: anyone, upTo: fc.nat(12) }) },
  {
    weight: 2,
    arbitrary: fc.record({ type: fc.constant('conversationDelivered' as const), by: anyone, upTo: fc.nat(12) }),
  },
  {
    weight: 2,
    arbitrary: fc
      .tuple(target, content)
      .map(([of, said]) => ({ type: 'messageEdited' as const, by: of.by, target: of, ...said })),
  },
  { weight: 2, arbitrary: target.map((of) => ({ type: 'messageRecalled' as const, by: of.by, target: of })) },
  {
    weight: 2,
    arbitrary: fc.record({ type: fc.constant('membersAdded' as const), by: fc.constant(alice), members: some }),
  },
  {
    weight: 1,
    arbitrary: fc.record({ type: fc.constant('membersRemoved' as const), by: fc.constant(alice), members: some }),
  },
  { weight: 1, arbitrary: fc.record({ type: fc.constant('memberLeft' as const), by: anyone }) },
  {
    weight: 3,
    arbitrary: fc
      .tuple(anyone, fc.record(settable, { requiredKeys: [] }))
      .map(([by, preferences]) => ({ type: 'preferencesChanged' as const, by, about: HERE, preferences })),
  },
  {
    weight: 1,
    arbitrary: fc
      .tuple(anyone, fc.constantFrom('userBlocked' as const, 'userUnblocked' as const))
      .map(([by, type]) => ({ type, by })),
  },
  {
    weight: 1,
    arbitrary: fc
      .tuple(anyone, anyone, fc.constantFrom('admin' as const, 'member' as const, 'owner' as const))
      .map(([by, member, role]) => ({ type: 'roleChanged' as const, by, member, role })),
  },
  {
    weight: 1,
    arbitrary: fc
      .constantFrom('nothing' as const, 'everything' as const)
      .map((newcomersSee) => ({ type: 'groupChanged' as const, by: alice, settings: { newcomersSee } })),
  },
);
const inRoom = (what: Part, room: ConversationId): Part =>
  what.type === 'preferencesChanged' ? { ...what, about: room } : what;

/** Several events in the same millisecond, so that the order of the list is put to the test. */
export const history = fc
  .array(fc.tuple(fc.constantFrom(...rooms), part, fc.nat(1)), { minLength: 1, maxLength: 120, size: 'max' })
  .map((parts) => {
    let at = 1_000;
    const founding = rooms.map(
      (room) => [room, { type: 'groupCreated', by: alice, name: room, members: [bob] }, at] as const,
    );
    return log(...founding, ...parts.map(([room, what, later]) => [room, inRoom(what, room), (at += later)] as const));
  });
export const cuts = fc.array(fc.nat(120), { maxLength: 12 });
