/** What devices were given, against what their users' inboxes must hold: properties 2, 3, 4, 8, 10, 11, 12, 13, 16. */
import type { Delivered, Ended, Line, Seen } from '../history.ts';
import type { Evidence, Held } from './evidence.ts';
import type { Violations } from './violation.ts';

/** Speaks raw WebSocket: what came after its last cursor may come to it once more. */
const RAW_DEVICE = 'slow';

interface Known {
  readonly seen: Map<string, Seen>;
  readonly lastPos: Map<string, number>;
  cursor: { epoch: string; seq: number } | undefined;
}

const newDevice = (): Known => ({ seen: new Map(), lastPos: new Map(), cursor: undefined });
const keyOf = (conversation: string, seen: Seen): string => JSON.stringify([conversation, ...seen]);

export function checkDevices({ history, expected }: Evidence, violations: Violations): number {
  const entitled = new Map([...expected].map(([user, held]) => [user, keysOf(held)]));
  const devices = new Map<string, Known>();
  let deliveries = 0;
  let ended: Ended | undefined;
  for (const line of history) {
    if (line.k === 'complaint')
      violations.add(complaintProperty(line.what), `${line.user}'s ${line.device}: ${line.what}`, line.user);
    if (line.k === 'ended') ended = line;
    if (!('device' in line) || line.k === 'invoked' || line.k === 'complaint') continue;
    const name = JSON.stringify([line.user, line.device]);
    if (line.k === 'reset' || !devices.has(name)) devices.set(name, newDevice());
    const device = devices.get(name) as Known;
    if (line.k === 'cursor') checkCursor(line, device, violations);
    if (line.k === 'delivered') {
      deliveries += line.entries.length;
      checkDelivery(line, device, entitled.get(line.user), violations);
    }
  }
  if (!ended) violations.add(11, 'the workload did not come to its end');
  for (const { user, device } of ended?.late ?? []) {
    violations.add(11, `${user}'s ${device} had not caught up when time was over`, user);
  }
  for (const { user, device } of ended?.caughtUp ?? []) {
    checkComplete(user, device, devices.get(JSON.stringify([user, device])), expected.get(user) ?? [], violations);
  }
  return deliveries;
}

function checkCursor(
  { user, device, epoch, seq }: Extract<Line, { k: 'cursor' }>,
  known: Known,
  violations: Violations,
): void {
  if (known.cursor?.epoch === epoch && seq < known.cursor.seq) {
    violations.add(8, `the cursor of ${user}'s ${device} went from ${known.cursor.seq} back to ${seq}`, user);
  }
  known.cursor = { epoch, seq };
}

function checkDelivery(
  { user, device, conversation, entries }: Delivered,
  known: Known,
  entitled: ReadonlySet<string> | undefined,
  violations: Violations,
): void {
  for (const seen of entries) {
    const [type, n, pos, , id] = seen;
    const key = keyOf(conversation, seen);
    const what = `the ${type} ${id} (${n}) of ${conversation}, at ${pos}`;
    if (!entitled?.has(key)) violations.add(12, `${user}'s ${device} was given ${what}: not theirs, or not so`, id);
    if (device !== RAW_DEVICE) {
      const last = known.lastPos.get(conversation) ?? 0;
      if (known.seen.has(key)) violations.add(3, `${user}'s ${device} was given ${what} twice`, id);
      else if (pos < last) violations.add(4, `${user}'s ${device} was given ${what} behind ${last}`, id);
      known.lastPos.set(conversation, Math.max(last, pos));
    }
    known.seen.set(key, seen);
  }
}

/** Live and caught up, together: all of the history, on each device that had caught up at the end. */
function checkComplete(
  user: string,
  device: string,
  known: Known | undefined,
  expected: readonly Held[],
  violations: Violations,
): void {
  for (const { conversation, seen } of expected) {
    if (known?.seen.has(keyOf(conversation, seen))) continue;
    const [type, n, pos, by, id] = seen;
    const property = by === user ? 10 : 13;
    violations.add(
      property,
      `${user}'s ${device} never got the ${type} ${id} (${n}) of ${conversation}, at ${pos}`,
      id,
    );
  }
}

const keysOf = (held: readonly Held[]): Set<string> =>
  new Set(held.map(({ conversation, seen }) => keyOf(conversation, seen)));

const complaintProperty = (what: string): number => (what.startsWith('lost entries') ? 13 : 16);
