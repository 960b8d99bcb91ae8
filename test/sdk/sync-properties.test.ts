/**
 * A device while everything moves at its own pace: lanes, inbox and read model are late, the inbox drops what the device has not had, loses
 * its end or is made anew, the log is brought back from a copy, connections break, the storage is late, the app is slow or killed between any
 * two steps. What does not hold is thrown: so a story is shortened, and printed with its seed.
 */
import assert from 'node:assert/strict';
import fc from 'fast-check';
import t from 'tap';
import type { ConversationId } from '../../src/domain/ids.ts';
import type { Phone } from '../support/sync-phone.ts';
import { type Happening, run, stories } from '../support/sync-story.ts';

/** For a search: as many stories of each. */
const RUNS = 600;

/** A gateway that leaves something out is one with a defect. */
const DEFECTS: readonly Happening[] = ['gateway skips'];
const INBOX_CHANGES: readonly Happening[] = ['evicts', 'inbox loses its end', 'inbox made anew', 'log restored'];

function isWell(phone: Phone): void {
  assert.deepEqual(phone.violations, []);
  assert.ok(phone.isLive, 'live');
}

async function hasAll(phone: Phone): Promise<void> {
  isWell(phone);
  assert.deepEqual(phone.missing(), []);
  const { cursor } = await phone.storage.load();
  assert.equal(cursor?.sync, undefined, 'nothing is left to be told');
  // A log brought back from a copy may know less of what was delivered.
  if (phone.world.copies === 0) assert.ok(phone.world.delivered >= phone.toldAsDelivered, 'told as delivered');
}

for (const resume of ['latest', 'everything'] as const) {
  for (const onGap of ['changes', 'replay', 'either'] as const) {
    t.test(`from ${resume}, brought up by ${onGap}: each entry came or was told, none twice in a life`, async (t) => {
      const seen = { resyncs: 0, replays: 0, entries: 0, told: 0, delivered: 0, wasTooSlow: 0, lives: 0 };
      await fc.assert(
        fc.asyncProperty(stories(DEFECTS), fc.boolean(), async (story, storesLate) => {
          const phone = await run(story, { resume, onGap, storesLate });
          await hasAll(phone);
          seen.resyncs += phone.world.resyncs;
          seen.replays += phone.world.replays;
          seen.entries += phone.has.size;
          seen.told += phone.told.size;
          seen.delivered += phone.world.delivered;
          seen.wasTooSlow += phone.wasTooSlow;
          seen.lives += phone.lives.length;
        }),
        { numRuns: RUNS },
      );
      const { resyncs, entries, delivered, wasTooSlow, lives } = seen;
      t.ok(
        resyncs > RUNS && entries > 5 * RUNS && delivered > RUNS && wasTooSlow > 50 && lives > RUNS,
        JSON.stringify(seen),
      );
      if (onGap !== 'changes') t.ok(seen.replays > RUNS / 4, 'replays');
      if (onGap !== 'replay') t.ok(seen.told > RUNS, 'told');
    });
  }
}

/** Indexes of a conversation that came in one life. */
const indexes = (life: Phone['lives'][number]): [ConversationId, number[]][] =>
  [...life].map(([room, entries]) => [room, entries.flatMap((entry) => ('n' in entry ? [entry.n] : []))]);

t.test('behind the first that came live none is left out', async () => {
  const kills = ['killed', 'killed while it stores'] as const;
  const quiet = [...DEFECTS, ...kills, ...INBOX_CHANGES, 'leaves or joins', 'refuses'] as const;
  await fc.assert(
    fc.asyncProperty(stories(quiet), fc.constantFrom('changes', 'replay', 'either'), async (story, onGap) => {
      const phone = await run(story, { resume: 'latest', onGap });
      isWell(phone);
      for (const life of phone.lives)
        for (const [room, list] of indexes(life)) {
          const [first = 0] = list;
          assert.deepEqual(
            list,
            list.map((_, i) => first + i),
            `of ${room}`,
          );
        }
    }),
    { numRuns: RUNS },
  );
});

t.test('what a gateway left out comes when the next entry shows it, and is never told as lost', async () => {
  let skipped = 0;
  await fc.assert(
    fc.asyncProperty(
      stories(['leaves or joins', ...INBOX_CHANGES]),
      fc.constantFrom('changes', 'replay'),
      async (story, onGap) => {
        const phone = await run(story, { resume: 'everything', onGap, storesLate: true });
        isWell(phone);
        const missing = new Set(phone.missing());
        const all = phone.world.logs.flat().filter(({ entry }) => 'n' in entry && missing.has(entry.id));
        // A conversation's first one may have any index.
        assert.deepEqual(
          all.filter(({ before }) => before && phone.has.has(before.entry.id)),
          [],
        );
        skipped += phone.world.skipped.length;
      },
    ),
    { numRuns: RUNS },
  );
  t.ok(skipped > RUNS / 10, `${skipped}`);
});
