/** Parts of a log, and logs that go into one that has events already, on real servers. */
import { rmSync, symlinkSync } from 'node:fs';
import { join } from 'node:path';
import t from 'tap';
import { FileArchiveReader } from '../../src/adapters/archive/archive-reader.ts';
import { JetstreamAccountLog } from '../../src/adapters/jetstream/log/account-log.ts';
import { JetstreamConversationLog } from '../../src/adapters/jetstream/log/conversation-log.ts';
import { JetstreamLaneSource } from '../../src/adapters/jetstream/log/lane-source.ts';
import { JetstreamLogFollower } from '../../src/adapters/jetstream/log/log-follower.ts';
import { JetstreamLogReader } from '../../src/adapters/jetstream/log/log-reader.ts';
import { DerivedStreams } from '../../src/adapters/jetstream/streams/derived-streams.ts';
import { evolveAccount } from '../../src/domain/account.ts';
import type { StoredRecord } from '../../src/ports/archive.ts';
import { isUnreadable, type LogEvent } from '../../src/ports/conversation-log.ts';
import { contents, deployment, essence, folder, isEmpty, recordsOf } from '../support/archives.ts';
import { conversation, msgId } from '../support/given.ts';
import { quiet } from '../support/nats.ts';
import { type Operated, says } from '../support/operated.ts';
import { alice, bob, nothing, talking, team } from '../support/talking.ts';

async function inFile(file: string): Promise<StoredRecord[]> {
  const reader = await FileArchiveReader.open(file);
  const found: StoredRecord[] = [];
  for await (const { records } of reader.blocks()) found.push(...records);
  await reader.close();
  return found;
}

t.test('a part of a log: a conversation, a user, a time', async (t) => {
  const [dir, from] = [folder(t), await talking(t)];
  const [all, file] = [await recordsOf(from, 'CONV_0'), join(dir, 'part.rookery')];
  await from.run('export', file, '--conversation', 'team');
  t.same(essence(await inFile(file)), essence(all.slice(0, 4)));
  await from.run('export', file, '--user', 'bob');
  t.same(essence(await inFile(file)), essence(all.slice(0, 4)), 'the conversations they are in');
  const since = new Date(all[2]?.at ?? 0).toISOString();
  await from.run('export', file, '--since', since, '--conversation', 'team');
  const kinds = (await inFile(file)).map(({ subject }) => subject.at(-1));
  t.equal(kinds[0], 's', 'what founded it is there, or nothing that follows would count');
  t.ok((await inFile(file)).every(({ at, subject }) => subject.endsWith('.s') || at >= Date.parse(since)));
  t.match(await from.run('export', file, '--since', 'whenever'), { code: 1, stderr: /^BAD_REQUEST: whenever/ });
  t.match(await from.run('import', file), { code: 1, stderr: /^IMPORT_MISMATCH: the file holds a part of a log/ });
});

t.test('a merge adds what is not there, each once, with its time; a second one changes nothing', async (t) => {
  const [dir, from, to] = [folder(t), await talking(t), await nothing(t)];
  const file = join(dir, 'log.rookery');
  await from.run('export', file);
  await to.append(conversation('here'), says(bob, 'before'));
  const [merged] = await to.json('import', file, '--merge');
  t.match(merged, { mode: 'merged', complete: true, stored: 8, known: 0 });
  const after = await recordsOf(to, 'CONV_0');
  t.same(essence(after.slice(1)), essence(await recordsOf(from, 'CONV_0')));
  t.match(await to.json('import', file, '--merge'), [{ stored: 0, known: 8 }]);
  await from.append(team, says(bob, 'later'));
  await from.run('export', file);
  t.match(await to.json('import', file, '--merge'), [{ stored: 1, known: 8 }]);
});

t.test('an account that was changed here meanwhile stays as it is', async (t) => {
  const [dir, from, to] = [folder(t), await nothing(t), await nothing(t)];
  const accountsOf = ({ operator }: Operated): JetstreamAccountLog => {
    const limits = { maxAppends: 10, maxAppendBytes: 1e6, appendDeadlineMs: 10_000 };
    const appender = new JetstreamConversationLog(operator.nc, operator.inboxPrefix, from.nats.topology, limits);
    t.teardown(() => appender.drain());
    return new JetstreamAccountLog(operator, appender);
  };
  const rename = async (accounts: JetstreamAccountLog, id: string): Promise<void> => {
    const { account, pos } = await accounts.load(alice);
    const event = { type: 'profileChanged', by: 'user', id: msgId(id), profile: { name: id } } as const;
    await accounts.append(event, evolveAccount(account, event), pos);
  };
  const [there, here] = [accountsOf(from), accountsOf(to)];
  const file = join(dir, 'log.rookery');
  await rename(there, 'first');
  await from.run('export', file);
  t.match(await to.json('import', file, '--merge'), [{ stored: 1 }]);
  await rename(there, 'second');
  await rename(here, 'own');
  await from.run('export', file);
  t.match(await to.json('import', file, '--merge'), [{ stored: 0, known: 1, superseded: 1 }]);
  t.equal((await here.load(alice)).account.profile.name, 'own');
});

t.test(
  'a disk that is full while exporting, or under the log imported into, is told; made room, it goes on',
  async (t) => {
    const [dir, from, to] = [folder(t), await deployment(t, 3_000), await nothing(t)];
    const file = join(dir, 'log.rookery');
    // What is written to it meets a full disk, by the kernel's own word.
    symlinkSync('/dev/full', `${file}.part`);
    t.match(await from.run('export', file), { code: 1, stdout: '', stderr: /^FILE_UNUSABLE: .*the disk is full/ });
    rmSync(`${file}.part`);
    t.match(await from.run('export', file), { code: 0 });

    await to.operator.jsm.streams.update('CONV_0', { max_bytes: 100_000 });
    t.match(await to.run('import', file), { code: 1, stderr: /^LOG_UNAVAILABLE: .*maximum bytes exceeded/ });
    t.notOk(isEmpty(await contents(to)), 'it had begun');
    await to.operator.jsm.streams.update('CONV_0', { max_bytes: -1 });
    t.match(await to.run('import', file), { code: 0, stdout: /identical to the file/ });
    t.same(await contents(to), await contents(from));
  },
);

t.test('an imported event has its time for every reader of the log', async (t) => {
  const [dir, from, to] = [folder(t), await talking(t), await nothing(t)];
  const file = join(dir, 'log.rookery');
  await from.run('export', file);
  await to.run('import', file);
  const expected = (await recordsOf(from, 'CONV_0')).map(({ at }) => at);
  const { operator, nats } = to;
  const parts = { ...operator, convStream: 0 };
  const timesOf = (records: readonly unknown[]): number[] => (records as LogEvent[]).map(({ at }) => at);

  const reader = new JetstreamLogReader(parts);
  const read = [];
  for await (const record of reader.read(1, expected.length)) if (!isUnreadable(record)) read.push(record);
  t.same(timesOf(read), expected, 'read in a row');
  const single = [];
  for (const pos of expected.keys()) single.push(await reader.at(pos + 1));
  t.same(timesOf(single), expected, 'read one by one');

  const followed: unknown[] = [];
  const { promise, resolve } = Promise.withResolvers<void>();
  const follower = new JetstreamLogFollower({ ...parts, log: quiet });
  const following = await follower.follow(
    1,
    (records) => {
      followed.push(...records);
      if (followed.length === expected.length) resolve();
    },
    () => undefined,
  );
  await promise;
  await following.stop();
  t.same(timesOf(followed), expected, 'followed');

  const worker = await nats.connect('fan-out-worker');
  const derived = new DerivedStreams(worker.jsm, nats.topology);
  const source = new JetstreamLaneSource({ ...worker, derived, convStream: 0, inbox: `${worker.inboxPrefix}.lane` });
  await source.open(1);
  const taken: unknown[] = [];
  const bound = { maxRecords: 100, maxBytes: 1e6, limit: () => Number.POSITIVE_INFINITY };
  while (taken.length < expected.length) taken.push(...(await source.take(bound, 1_000)));
  await source.close();
  t.same(timesOf(taken), expected, 'taken by the worker');
});
