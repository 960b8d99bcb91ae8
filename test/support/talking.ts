/** A small deployment with a few people in it. */
import type { Test } from 'tap';
import { conversation, user } from './given.ts';
import { type Operated, says, startOperated } from './operated.ts';

export const [alice, bob] = [user('alice'), user('bob')];
export const team = conversation('team');

export async function nothing(t: Test): Promise<Operated> {
  const operated = await startOperated();
  t.teardown(() => operated.stop());
  return operated;
}

/** Two groups, one of them with bob, and what is said in them. */
export async function talking(t: Test): Promise<Operated> {
  const here = await nothing(t);
  for (const [group, members] of [
    [team, [bob]],
    [conversation('other'), []],
  ] as const) {
    await here.append(group, { type: 'groupCreated', by: alice, name: group, members });
    for (const text of ['one', 'two', 'three']) await here.append(group, says(alice, text));
  }
  return here;
}
