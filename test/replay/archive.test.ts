/** Export and import from the command line, on real servers. */
import { copyFileSync, existsSync, readFileSync, statSync, truncateSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import t, { type Test } from 'tap';
import { FileArchiveReader } from '../../src/adapters/archive/archive-reader.ts';
import { packr } from '../../src/protocol/messagepack.ts';
import { contents, deployment, folder, isEmpty, readModelDigests, recordsOf } from '../support/archives.ts';
import { conversation, user } from '../support/given.ts';
import { type Operated, says, startOperated } from '../support/operated.ts';
import { eventually } from '../support/waiting.ts';

const EVENTS = 6_000;

async function nothing(t: Test, topology = { convStreams: 1, inboxStreams: 1 }): Promise<Operated> {
  const operated = await startOperated(topology);
  t.teardown(() => operated.stop());
  return operated;
}

t.test(
  'a log that is exported and imported is the same log: positions, times, ids, bytes, and the read model',
  async (t) => {
    const [dir, from, to] = [folder(t), await deployment(t, EVENTS), await nothing(t)];
    const file = join(dir, 'log.rookery');
    const exported = await from.run('export', file);
    t.match(exported, { code: 0, stderr: '' });
    t.match(exported.stdout, new RegExp(`^USER +\\d+ events +[0-9a-f]{64}\\nCONV_0 .*\\n${EVENTS} events in `));
    t.notOk(existsSync(`${file}.part`));
    t.equal(statSync(file).mode & 0o777, 0o600, 'nobody else reads it');

    const imported = await to.run('import', file);
    t.match(imported, { code: 0, stderr: '', stdout: /each at its position: identical to the file/ });
    t.same(await contents(to), await contents(from));
    t.same(await readModelDigests(to.operator, dir), await readModelDigests(from.operator, dir));

    const again = (await to.json('import', file))[0] as { streams: { stored: number }[] };
    t.same(
      again.streams.map(({ stored }) => stored),
      [0, 0],
      'a second run changes nothing',
    );
    t.same(await contents(to), await contents(from));

    const onceMore = join(dir, 'again.rookery');
    await to.run('export', onceMore);
    const [one, other] = [await endOf(file), await endOf(onceMore)];
    t.same(other, one, 'what was imported exports as what it was imported from');
  },
);

t.test('a file that was read to its end is known again: another one in its place is told', async (t) => {
  const [dir, from] = [folder(t), await deployment(t, 2_000)];
  const [file, other] = [join(dir, 'log.rookery'), join(dir, 'other.rookery')];
  await from.run('export', file);
  await from.append(conversation('group-1'), says(user('user-7'), 'and on'));
  await from.run('export', other);
  const read = async (path: string, seal?: string) => {
    const reader = await FileArchiveReader.open(path);
    let events = 0;
    try {
      for await (const { records } of reader.blocks(seal)) events += records.length;
      return { events, seal: reader.seal };
    } finally {
      await reader.close();
    }
  };
  const whole = await read(file);
  t.equal(whole.events, 2_000);
  t.same(await read(file, whole.seal), whole);
  await t.rejects(read(other, whole.seal), { code: 'ARCHIVE_DAMAGED', message: /changed since it was checked/ });
});

async function endOf(file: string): Promise<unknown> {
  const reader = await FileArchiveReader.open(file);
  for await (const _ of reader.blocks());
  await reader.close();
  return reader.end;
}

t.test(
  'a deployment that goes on after an import is added to, and an import finds all of the file there',
  async (t) => {
    const [dir, from, to] = [folder(t), await deployment(t, 3_000), await nothing(t)];
    const file = join(dir, 'log.rookery');
    await from.run('export', file);
    await to.run('import', file);
    await to.append(conversation('group-1'), says(user('user-7'), 'and on'));
    t.match(await to.json('import', file), [{ complete: true, streams: [{ stored: 0 }, { stored: 0 }] }]);
  },
);

t.test('several CONV streams are restored each in its place; other topologies are refused', async (t) => {
  const topology = { convStreams: 3, inboxStreams: 2 };
  const [dir, from, to, single] = [
    folder(t),
    await deployment(t, 3_000, topology),
    await nothing(t, topology),
    await nothing(t),
  ];
  const file = join(dir, 'log.rookery');
  await from.run('export', file);
  t.match(await to.run('import', file), { code: 0 });
  t.same(await contents(to), await contents(from));
  t.match(await single.run('import', file), {
    code: 1,
    stderr: /^IMPORT_MISMATCH: .* of 3 CONV streams, this one has 1/,
  });
  t.ok(isEmpty(await contents(single)));
});

t.test('a hole in the log is a hole after the import', async (t) => {
  const [dir, from, to] = [folder(t), await nothing(t), await nothing(t)];
  const config = (await from.operator.jsm.streams.info('CONV_0')).config;
  await from.operator.jsm.streams.delete('CONV_0');
  await from.operator.jsm.streams.add({ ...config, deny_delete: false, deny_purge: false });
  for (let i = 0; i < 6; i++) await from.append(conversation('c'), says(user('alice'), `${i}`));
  await from.operator.jsm.streams.deleteMessage('CONV_0', 1);
  await from.operator.jsm.streams.deleteMessage('CONV_0', 4);
  const file = join(dir, 'log.rookery');
  await from.run('export', file);
  t.match(await to.run('import', file), { code: 0 });
  t.same(await contents(to), await contents(from));
  t.same(
    (await recordsOf(to, 'CONV_0')).map(({ seq }) => seq),
    [2, 3, 5, 6],
  );
  t.same(await readModelDigests(to.operator, dir), await readModelDigests(from.operator, dir));
});

t.test('an import into a log of others, or from one that somebody writes to, writes nothing', async (t) => {
  const [dir, from, to] = [folder(t), await deployment(t, 2_000), await nothing(t)];
  const file = join(dir, 'log.rookery');
  await from.run('export', file);
  await to.append(conversation('other'), says(user('alice'), 'mine'));
  const before = await contents(to);
  t.match(await to.run('import', file), { code: 1, stderr: /^IMPORT_MISMATCH: CONV_0 holds other events.*--merge/ });
  t.same(await contents(to), before);
});

t.test(
  'a file that is cut off anywhere, or of which any bit is another one, is refused and nothing is written',
  async (t) => {
    const [dir, from, to] = [folder(t), await deployment(t, 4_000), await nothing(t)];
    const [whole, bad] = [join(dir, 'log.rookery'), join(dir, 'bad.rookery')];
    await from.run('export', whole);
    const bytes = readFileSync(whole);
    const places = [
      0,
      9,
      60,
      Math.floor(bytes.length / 3),
      Math.floor(bytes.length / 2),
      bytes.length - 40,
      bytes.length - 1,
    ];
    for (const at of places) {
      const flipped = Buffer.from(bytes);
      flipped[at] = (flipped[at] ?? 0) ^ 1;
      writeFileSync(bad, flipped);
      const expected =
        at === 0 ? /^ARCHIVE_UNSUPPORTED: .* is no archive/ : /^ARCHIVE_DAMAGED: .*: block \d+, at byte \d+: /;
      t.match(await to.run('import', bad), { code: 1, stdout: '', stderr: expected }, `a bit at ${at}`);
    }
    for (const length of [0, 5, 8, 30, Math.floor(bytes.length / 2), bytes.length - 1]) {
      copyFileSync(whole, bad);
      truncateSync(bad, length);
      const expected = length < 8 ? /^ARCHIVE_UNSUPPORTED/ : /^ARCHIVE_DAMAGED: .*(cut off|missing)/;
      t.match(await to.run('import', bad), { code: 1, stdout: '', stderr: expected }, `cut to ${length}`);
    }
    writeFileSync(bad, Buffer.concat([bytes, Buffer.from('more')]));
    t.match(await to.run('import', bad), { code: 1, stderr: /^ARCHIVE_DAMAGED: .*something follows/ });
    t.match(await to.run('import', join(dir, 'nowhere')), { code: 1, stderr: /^FILE_UNUSABLE: .*ENOENT/ });
    t.ok(isEmpty(await contents(to)));
  },
);

t.test(
  'an event of a newer version, or of an unknown kind, is refused by its position; or kept, if asked for',
  async (t) => {
    const cases: [object, RegExp][] = [
      [
        { v: 99, type: 'messageSent' },
        /^EVENT_UNREADABLE: CONV_0@2: schema version 99 is newer than .*`--keep-unreadable`/,
      ],
      [
        { v: 1, type: 'messageSung', by: 'alice', id: 'x' },
        /^EVENT_UNREADABLE: CONV_0@2: not a known event: messageSung.*`--keep-unreadable`/,
      ],
    ];
    for (const [event, expected] of cases) {
      const [dir, from, to] = [folder(t), await nothing(t), await nothing(t)];
      const file = join(dir, 'log.rookery');
      await from.append(conversation('c'), says(user('alice'), 'before'));
      await from.operator.js.publish('conv.0.c.m', packr.pack(event));
      await from.append(conversation('c'), says(user('alice'), 'behind'));
      await from.run('export', file);
      t.match(await to.run('import', file), { code: 1, stdout: '', stderr: expected });
      t.ok(isEmpty(await contents(to)));
      t.match(await to.run('import', file, '--keep-unreadable'), { code: 0, stdout: /1 of them unreadable here/ });
      t.same(await contents(to), await contents(from));
    }
  },
);

t.test('an import that is killed at any moment goes on where it was, and nothing is doubled', async (t) => {
  const [dir, from, to] = [folder(t), await deployment(t, 20_000), await nothing(t)];
  const file = join(dir, 'log.rookery');
  await from.run('export', file);
  const positions = async (): Promise<number> => (await to.operator.jsm.streams.info('CONV_0')).state.last_seq;
  for (const after of [1, 4_000, 12_000]) {
    const run = to.start('import', file);
    await eventually(async () => (await positions()) >= after, `${after} are stored`);
    run.child.kill('SIGKILL');
    await run.ended;
  }
  t.match(await to.run('import', file), { code: 0, stdout: /identical to the file/ });
  t.same(await contents(to), await contents(from));
});

t.test('an export that is killed or interrupted goes on behind its last whole block', async (t) => {
  const [dir, from] = [folder(t), await deployment(t, 30_000)];
  const whole = join(dir, 'whole.rookery');
  await from.run('export', whole);
  for (const signal of ['SIGKILL', 'SIGINT'] as const) {
    const file = join(dir, `${signal}.rookery`);
    const run = from.start('export', file);
    const size = (): number => statSync(`${file}.part`, { throwIfNoEntry: false })?.size ?? 0;
    await eventually(() => size() > 1_000, 'something is written');
    run.child.kill(signal);
    const { code, stderr } = await run.ended;
    // It may have been done already when the signal came.
    if (!existsSync(file)) {
      t.match([code, stderr], signal === 'SIGINT' ? [130, /the same command goes on/] : [null, '']);
    }
    t.match(await from.run('export', file), { code: 0 });
    t.same(await endOf(file), await endOf(whole));
  }
});

t.test('what stands of another export beside the file is not gone on with', async (t) => {
  const [dir, from] = [folder(t), await deployment(t, 3_000)];
  const [whole, file] = [join(dir, 'whole.rookery'), join(dir, 'log.rookery')];
  await from.run('export', whole);
  copyFileSync(whole, `${file}.part`);
  t.match(await from.run('export', file, '--conversation', 'group-3'), { code: 0 });
  const reader = await FileArchiveReader.open(file);
  for await (const { records } of reader.blocks()) {
    t.ok(records.every(({ subject }) => subject.includes('.group-3.')));
  }
  await reader.close();
});
