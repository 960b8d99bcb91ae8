/** What the INBOX streams hold, read by the book: void records skipped, pointers resolved, one list of entries a user. */
import { unpack } from 'msgpackr';
import type { Nats } from '../../src/adapters/jetstream/connect.ts';
import type { DeliverFrame, Entry } from '../../src/protocol/frames.ts';
import { bodyOf, decodeOrigin, packKey, packOffsetOf, RecordKind } from '../../src/protocol/inbox-record.ts';
import { idOfToken, inboxStreamName, type Topology } from '../../src/protocol/subjects.ts';

export interface Inboxes {
  /** By user: entries in the order of the inbox, with their conversation. */
  readonly of: Map<string, (Entry & { readonly conversation: string })[]>;
  readonly records: number;
  readonly void: number;
  readonly terms: number;
}

export async function readInboxes({ js, jsm }: Nats, topology: Topology): Promise<Inboxes> {
  const of: Inboxes['of'] = new Map();
  const counts = { records: 0, void: 0, terms: 0 };
  for (let k = 0; k < topology.inboxStreams; k++) {
    const { state } = await jsm.streams.info(inboxStreamName(k));
    if (state.messages === 0) continue;
    const terms = new Map<number, number>();
    const packs = new Map<string, Uint8Array>();
    const consumer = await js.consumers.get(inboxStreamName(k));
    for await (const message of await consumer.consume()) {
      const data = new Uint8Array(message.data);
      const origin = decodeOrigin(data);
      const [kind, , token = ''] = message.subject.split('.');
      counts.records += 1;
      if (origin.kind === RecordKind.marker) {
        counts.terms += 1;
        terms.set(origin.lane, origin.term);
      } else if (origin.term !== terms.get(origin.lane)) {
        counts.void += 1;
      } else if (kind === 'pack') {
        packs.set(packKey(origin, origin.offset), bodyOf(data));
      } else if (kind === 'inbox') {
        const isPointer = origin.kind === RecordKind.pointer;
        const body = isPointer ? packs.get(packKey(origin, packOffsetOf(data))) : bodyOf(data);
        if (!body) throw new Error(`a pointer without its pack at ${message.seq}`);
        const frame = unpack(body) as DeliverFrame;
        const user = idOfToken(token);
        const list = of.get(user) ?? [];
        of.set(user, list);
        list.push(...frame.entries.map((entry) => ({ ...entry, conversation: frame.conversation })));
      }
      if (message.seq >= state.last_seq) break;
    }
    await consumer.delete();
  }
  return { of, ...counts };
}
