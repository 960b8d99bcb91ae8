/** Looks for those whose names were typed, before anything is done to them. */
import type { PresencePage } from '../../protocol/presence-frames.ts';
import { parseUserId, type UserId } from '../../sdk/index.ts';
import { type Who, whoIs } from '../model/who.ts';
import type { App } from './app.ts';
import { DEMO_PEOPLE, waysIn } from './sign-in.ts';

/** Asked for at once; the server takes no more. */
const MAX_ASKED = 100;

/** Without an answer (there is no connection) nobody counts as a stranger: what is done next is refused, or kept for later. */
export async function whoIn(app: App, names: readonly string[]): Promise<Who> {
  const seen = new Set<UserId>(waysIn.value?.devTokens ? DEMO_PEOPLE : []);
  for (const { conversation } of app.rows.peek().values()) {
    const peer = app.peerOf(conversation);
    if (peer !== undefined) seen.add(peer);
  }
  const unknown = names.flatMap((name) => parseUserId(name) ?? []).filter((user) => !seen.has(user));
  for (let i = 0; i < unknown.length; i += MAX_ASKED) {
    const users = unknown.slice(i, i + MAX_ASKED);
    const found = await Promise.all([app.names.askFor(users), presenceOf(app, users)]).catch(() => [users]);
    for (const user of found.flat()) seen.add(user);
  }
  return whoIs(names, (user) => seen.has(user), app.names.called());
}

/** Who comes in without an account has been seen all the same. */
async function presenceOf(app: App, users: readonly UserId[]): Promise<UserId[]> {
  const query = { type: 'presence' as const, users };
  const { presence } = await app.tabs.ask<PresencePage>({ type: 'query', query });
  return presence.filter(({ online, lastSeen }) => online || lastSeen !== undefined).map(({ user }) => user);
}
