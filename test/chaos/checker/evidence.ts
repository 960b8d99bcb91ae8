/** What the checker decides from: the clients' history, the log, the inboxes, and what a fresh fold of the log says they must hold. */
import type { Nats } from '../../../src/adapters/jetstream/connect.ts';
import { JetstreamLogReader } from '../../../src/adapters/jetstream/log/log-reader.ts';
import { isUnreadable, type LogEvent } from '../../../src/ports/conversation-log.ts';
import { foldReadable } from '../../../src/projections/fan-out.ts';
import { MemoryFanOutState } from '../../../src/projections/memory-fan-out-state.ts';
import { convStreamOf, type Topology } from '../../../src/protocol/subjects.ts';
import { readInboxes } from '../../support/inboxes.ts';
import { type Line, readHistory, type Seen, seenOf } from '../history.ts';

/** Events folded together; the fold gives the same whatever it is. */
const PORTION = 200;

/** An entry for one user, as inbox, fold and device have it in common. */
export interface Held {
  readonly conversation: string;
  readonly seen: Seen;
}

export interface Evidence {
  readonly history: readonly Line[];
  /** By stream, in the order of the log. */
  readonly log: readonly (readonly LogEvent[])[];
  /** By user, in the order of the inbox: what the INBOX streams hold. */
  readonly inboxes: ReadonlyMap<string, readonly Held[]>;
  /** By user: what they must hold. */
  readonly expected: ReadonlyMap<string, readonly Held[]>;
  readonly streamOf: (conversation: string) => number;
}

export async function gather(nats: Nats, topology: Topology, historyFile: string): Promise<Evidence> {
  const log: LogEvent[][] = [];
  for (let convStream = 0; convStream < topology.convStreams; convStream++) {
    const reader = new JetstreamLogReader({ ...nats, convStream });
    const events: LogEvent[] = [];
    for await (const record of reader.read(1, await reader.lastPos())) {
      if (!isUnreadable(record)) events.push(record);
    }
    log.push(events);
  }
  const inboxes = new Map<string, Held[]>();
  for (const [user, entries] of (await readInboxes(nats, topology)).of) {
    inboxes.set(
      user,
      entries.map((entry) => ({ conversation: entry.conversation, seen: seenOf(entry) })),
    );
  }
  const history: Line[] = [];
  for await (const line of readHistory(historyFile)) history.push(line);
  const streamOf = (conversation: string): number => convStreamOf(conversation as never, topology);
  return { history, log, inboxes, expected: expectedOf(log), streamOf };
}

/** What each user's inbox must hold, by a fold of the log from its beginning. */
export function expectedOf(log: Evidence['log']): Map<string, Held[]> {
  const expected = new Map<string, Held[]>();
  for (const events of log) {
    const state = new MemoryFanOutState();
    for (let i = 0; i < events.length; i += PORTION) {
      const { runs, changes } = foldReadable(state, events.slice(i, i + PORTION));
      state.apply(changes);
      for (const { conversation, audience, entries } of runs) {
        const held = entries.map((entry) => ({ conversation, seen: seenOf(entry) }));
        for (const user of audience) {
          const list = expected.get(user);
          if (list) list.push(...held);
          else expected.set(user, [...held]);
        }
      }
    }
  }
  return expected;
}
