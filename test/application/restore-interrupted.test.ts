/** A restore that meets what it does not expect at a stream's end: what it was sent before and stored late, or what others wrote. */
import t from 'tap';
import { restoreLog } from '../../src/application/archive/restore-log.ts';
import { PositionTaken, type StoredRecord } from '../../src/ports/archive.ts';
import { archive, records, STREAM, scene } from '../support/restoring.ts';

/** A log to which a process before, that was killed, has sent `late`: stored when the end has been asked for. */
function lateLog(late: readonly StoredRecord[]) {
  let isStored = false;
  const told = scene((record) => {
    if (!isStored) {
      isStored = true;
      told.there.push(...late);
    }
    if (record.seq !== (told.there.at(-1)?.seq ?? 0) + 1) throw new PositionTaken('wrong last sequence');
    return record;
  });
  return { ...told, parts: { ...told.parts, pauseMs: 1 } };
}

t.test('what was on its way when a restore was killed, and is stored late, is gone on behind', async (t) => {
  for (const events of [1, 3, 5]) {
    const { parts, there } = lateLog(records.slice(0, events));
    t.match(await restoreLog(parts), { complete: true, streams: [{ position: 5, stored: 5, behind: 0 }] });
    t.same(
      there.map(({ messageId }) => messageId),
      records.map(({ messageId }) => messageId),
    );
  }
});

t.test('what somebody else wrote there is told, and nothing is written behind it', async (t) => {
  const [first, second] = records as [StoredRecord, StoredRecord];
  for (const late of [[{ ...first, messageId: 'theirs' }], [first, { ...second, at: second.at + 1 }]]) {
    const { parts, there } = lateLog(late);
    await t.rejects(restoreLog(parts), {
      code: 'IMPORT_MISMATCH',
      message: new RegExp(`^somebody else writes to the log: what CONV_0 holds at ${late.length} `),
    });
    t.equal(there.length, late.length);
  }
});

t.test('a log that says again and again that its end is another one is given up', async (t) => {
  let asked = 0;
  const { parts } = scene(() => {
    asked += 1;
    throw new PositionTaken('wrong last sequence');
  });
  await t.rejects(restoreLog({ ...parts, pauseMs: 1 }), { code: 'IMPORT_MISMATCH', message: /^somebody else writes/ });
  t.equal(asked, 8);
});

t.test('a log that holds more than the file is added to only where nothing of the file is missing', async (t) => {
  const another = { ...(records[0] as StoredRecord), seq: 1, messageId: 'theirs' };
  const people = { name: 'USER', created: 'now', firstSeq: 1, lastSeq: 3 };
  const withPeople = (missing: number) => {
    const { parts, there } = scene((record) => record);
    there.push(...records.slice(missing));
    const { target } = parts;
    const open = async () => {
      const { header, end, ...rest } = archive();
      const nobody = { name: 'USER', events: 0, digest: '', firstSeq: 0, lastSeq: 0 };
      return {
        ...rest,
        header: { ...header, streams: [...header.streams, { ...people, lastSeq: 0 }] },
        end: { streams: [...(end?.streams ?? []), nobody] },
      };
    };
    const streams = async () => [...(await target.streams()), people];
    const counted: typeof target.counted = (name, from, to, count) =>
      name === STREAM ? target.counted(name, from, to, count) : one(() => count.add([another]));
    return { parts: { ...parts, open, target: { ...target, streams, counted } }, there };
  };
  async function* one(count: () => void): AsyncGenerator<void> {
    yield count();
  }
  const behind = withPeople(0);
  t.match(await restoreLog(behind.parts), { complete: true, streams: [{ behind: 0 }, { name: 'USER', behind: 3 }] });
  const others = withPeople(5);
  await t.rejects(restoreLog(others.parts), {
    code: 'IMPORT_MISMATCH',
    message: /^USER is at 3 already, where the file has events up to 0 only\. `--merge`/,
  });
  t.same(others.there, []);
});

t.test('stopped while it checks, compares or reads back, it ends at once and says that it is not done', async (t) => {
  const checking = new AbortController();
  const first = scene((record) => record, { stop: checking.signal, onProgress: () => checking.abort() });
  t.match(await restoreLog(first.parts), { complete: false, streams: [{ stored: 0 }] });
  t.same(first.there, []);

  const comparing = new AbortController();
  const second = scene((record) => record, { stop: comparing.signal });
  second.there.push({ ...(records[0] as StoredRecord), messageId: 'theirs' });
  const { target } = second.parts;
  const counted: typeof target.counted = async function* (_name, _from, _to, count) {
    count.add([]);
    comparing.abort();
    yield;
  };
  t.match(await restoreLog({ ...second.parts, target: { ...target, counted } }), { complete: false });

  const reading = new AbortController();
  const third = scene((record) => record, {
    stop: reading.signal,
    readBack: () => ({
      whole: () => undefined,
      // For ever.
      written: () => {
        setImmediate(() => reading.abort());
        return new Promise(() => undefined);
      },
      stop: async () => undefined,
    }),
  });
  t.match(await restoreLog(third.parts), { complete: false, streams: [{ stored: 5 }] });
});

t.test('a hole before each record of a block keeps nobody from being stopped', async (t) => {
  const stop = new AbortController();
  let restored = 0;
  const { parts } = scene((record) => record, { stop: stop.signal });
  const appenderFrom: typeof parts.appenderFrom = (ends, interruptions) => ({
    ...parts.appenderFrom(ends, interruptions),
    restore: async () => {
      restored += 1;
      stop.abort();
    },
  });
  t.match(await restoreLog({ ...parts, appenderFrom }), { complete: false });
  t.equal(restored, 1);
});
