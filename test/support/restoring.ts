/** A restore whose log is in memory. */
import { Summary } from '../../src/adapters/archive/summary.ts';
import type { RecordRules } from '../../src/application/archive/record-checks.ts';
import type { RestoreParts } from '../../src/application/archive/restore-log.ts';
import type { ArchiveReader, ReadBack, StoredRecord } from '../../src/ports/archive.ts';
import { encodeLogEvent } from '../../src/protocol/log-event.ts';
import { conversationSubject } from '../../src/protocol/subjects.ts';
import { blockOf } from './blocks.ts';
import { bytes, conversation, msgId, user } from './given.ts';

export const STREAM = 'CONV_0';
export const rules: RecordRules = {
  ...{ keepUnreadable: false, convStreams: 1 },
  limits: { bytes: 1_000, headerBytes: 500, holePositions: 100 },
};
export const records: StoredRecord[] = Array.from({ length: 5 }, (_, i) => ({
  ...{ seq: i + 1, at: 1_000 + i, subject: conversationSubject(conversation('rooks'), 'm'), messageId: `m${i}` },
  headers: [],
  data: encodeLogEvent({
    ...{ type: 'messageSent', by: user('alice'), id: msgId(`m${i}`) },
    ...{ contentType: 'text/plain', body: bytes('caw') },
  }),
}));
const summaryOf = (held: readonly StoredRecord[]) => {
  const summary = new Summary(STREAM);
  summary.add(held);
  return summary.now;
};

/** A file that holds these. */
export function archive(held: readonly StoredRecord[] = records): ArchiveReader {
  const stream = { name: STREAM, created: 'then', firstSeq: 1, lastSeq: 5 };
  return {
    header: {
      ...{ format: 1, eventSchema: 1, writtenBy: 'a test', compression: 'gzip' as const, convStreams: 1 },
      ...{ selection: {}, streams: [stream] },
    },
    ...{ bytes: 1, position: 1, end: { streams: [summaryOf(held)] }, seal: 'a seal' },
    async *blocks() {
      yield blockOf(0, held);
    },
    close: async () => undefined,
  };
}

/** A log in memory; @param stored what of a record comes to stand there */
export function scene(stored: (record: StoredRecord) => StoredRecord | undefined, more: Partial<RestoreParts> = {}) {
  const there: StoredRecord[] = [];
  const did = { begun: 0, stopped: 0 };
  const readBack = (): ReadBack => {
    did.begun += 1;
    return {
      whole: () => undefined,
      written: async () => [summaryOf(there)],
      stop: async () => void (did.stopped += 1),
    };
  };
  const parts: RestoreParts = {
    open: async () => archive(),
    target: {
      streams: async () => [{ name: STREAM, created: 'now', firstSeq: 1, lastSeq: there.length }],
      async *read() {
        yield there;
      },
      async *counted(_stream, from, to, count) {
        yield count.add(there.filter(({ seq }) => from <= seq && seq <= to));
      },
      async *ids() {
        yield there;
      },
    },
    appenderFrom: () => ({
      restore: (_, record) => {
        const put = stored(record.whole());
        if (put) there.push(put);
        return undefined;
      },
      add: () => undefined,
      settled: async () => undefined,
      stop: () => undefined,
    }),
    countOf: (stream) => new Summary(stream),
    readBack,
    rules,
    stop: new AbortController().signal,
    onProgress: () => undefined,
    ...more,
  };
  return { parts, did, there };
}
