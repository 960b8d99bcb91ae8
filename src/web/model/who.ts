/** Whom somebody means who types names: user ids, or what people are called. */
import { parseUserId, type UserId } from '../../sdk/index.ts';

/** What was typed, in its order: at commas alone, since what people are called has spaces in it. */
export const namesIn = (words: string): string[] => [
  ...new Set(
    words
      .split(/[,;、，；\n]/u)
      .map((name) => name.trim())
      .filter((name) => name !== ''),
  ),
];

export interface Who {
  /** Strangers as well. */
  readonly users: readonly UserId[];
  /** Of `users` those of whom nothing is known: they may be a slip of the pen. */
  readonly strangers: readonly UserId[];
  /** Neither somebody's name nor anything that could be a user id. */
  readonly nobody: readonly string[];
}

/**
 * An id of somebody goes before a name: nobody is written to in another's place who calls themselves by their id. A name that
 * two people have means neither.
 *
 * @param isSomebody whether there is a user of this id
 * @param called what people are called, by their id
 */
export function whoIs(
  names: readonly string[],
  isSomebody: (user: UserId) => boolean,
  called: Iterable<readonly [UserId, string]>,
): Who {
  const byName = new Map<string, Set<UserId>>();
  for (const [user, name] of called) byName.set(name, (byName.get(name) ?? new Set()).add(user));
  const users = new Set<UserId>();
  const strangers = new Set<UserId>();
  const nobody: string[] = [];
  for (const name of names) {
    const user = parseUserId(name);
    const [one, another] = byName.get(name) ?? [];
    if (user !== undefined && isSomebody(user)) users.add(user);
    else if (one !== undefined && another === undefined) users.add(one);
    else if (user === undefined) nobody.push(name);
    else {
      users.add(user);
      strangers.add(user);
    }
  }
  return { users: [...users], strangers: [...strangers], nobody };
}
