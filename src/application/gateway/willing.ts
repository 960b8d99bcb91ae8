/**
 * Who is put into a group by somebody else has not been asked: so it takes the same as writing to them. Who has blocked you, or takes
 * messages from contacts alone, can be brought into no group by you; by an invite, or by asking, they come in themselves.
 *
 * A group's fold knows nothing of other conversations, so the gateway decides it alone, on what it can learn when the command comes.
 */
import type { ConversationEvent, Roster } from '../../domain/conversation.ts';
import type { UserId } from '../../domain/ids.ts';
import { asRookeryError, RookeryError } from '../../protocol/error-codes.ts';

/** Questions of one command under way at once; the command names up to 1,000 users. */
const MAX_ASKED_AT_ONCE = 32;

/** Whether `by` may write to `user`; undefined where nobody can tell now. */
export type MayWrite = (by: UserId, user: UserId) => Promise<boolean | undefined>;

/**
 * Where nobody can tell of one, the rest is not asked about either, and the command passes: a refusal is never guessed.
 * @param roster the group's, as far as it is known
 * @throws RookeryError CANNOT_BE_ADDED, or as `mayWrite`
 */
export async function refuseUnwilling(
  event: ConversationEvent,
  roster: Roster | undefined,
  mayWrite: MayWrite,
): Promise<void> {
  if (event.type !== 'groupCreated' && event.type !== 'membersAdded') return;
  const isThere = (user: UserId): boolean => roster?.members.has(user) || roster?.requests.has(user) || false;
  const left = [...new Set(event.members)].filter((user) => user !== event.by && !isThere(user));
  let isUnwilling = false;
  const ask = async (): Promise<void> => {
    for (let user = left.pop(); user !== undefined; user = left.pop()) {
      const may = await mayWrite(event.by, user);
      if (may === false) isUnwilling = true;
      if (!may) left.length = 0;
    }
  };
  await Promise.all(Array.from({ length: MAX_ASKED_AT_ONCE }, ask));
  // Not by name, and not why: a block is nobody's business but who blocked.
  if (isUnwilling) throw new RookeryError('CANNOT_BE_ADDED', 'somebody among the members takes nothing from this user');
}

/** Who has no account is nobody to be protected. */
export function unlessUnknown(thrown: unknown): undefined {
  if (asRookeryError(thrown).code !== 'ACCOUNT_UNKNOWN') throw thrown;
}
