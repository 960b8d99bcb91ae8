import 'fake-indexeddb/auto';
import { appendFileSync, existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import fc from 'fast-check';
import t from 'tap';
import { IndexedDbStorage } from '../../src/sdk/indexed-db-storage.ts';
import { FileStorage } from '../../src/sdk/node/file-storage.ts';
import { outboxKey } from '../../src/sdk/outbox.ts';
import { MemoryStorage } from '../../src/sdk/storage.ts';
import { codeOf } from '../support/code-of.ts';
import { describeStorage, keysIn, storedEntry, temporaryFolder } from './sdk-storage.contract.ts';

describeStorage('memory', async () => new MemoryStorage(), false);
describeStorage('IndexedDB', (place) => IndexedDbStorage.open(place), true);
describeStorage('file', (place) => FileStorage.open(place), true);

t.test('file: a line torn by a crash is left out and told of, all before it holds', async (t) => {
  const place = temporaryFolder(t);
  const before = await FileStorage.open(place);
  t.equal(before.damage, undefined);
  await before.putOutbox(storedEntry(1));
  await before.close();
  appendFileSync(join(place, 'journal.jsonl'), '{"put":{"key":"0000');
  const after = await FileStorage.open(place);
  t.match(after.damage, /torn/);
  await after.putOutbox(storedEntry(2));
  await after.close();
  const last = await FileStorage.open(place);
  t.same(await keysIn(last), [1, 2].map(outboxKey));
  t.equal(last.damage, undefined);
  await last.close();
});

t.test('file: whatever the journal has become, it opens, keeps what it can read, and tells', async (t) => {
  await fc.assert(
    fc.asyncProperty(fc.uint8Array({ minLength: 1, maxLength: 60 }), fc.nat({ max: 3 }), async (garbage, line) => {
      const place = temporaryFolder(t);
      const storage = await FileStorage.open(place);
      for (const number of [1, 2, 3]) await storage.putOutbox(storedEntry(number));
      await storage.close();
      const journal = join(place, 'journal.jsonl');
      const lines = readFileSync(journal, 'utf8').trimEnd().split('\n');
      // A byte or two of it may be whole lines of nothing, or JSON that is no line of ours.
      const text = Buffer.from(garbage).toString('latin1').replaceAll('\n', ' ');
      lines.splice(line, 0, text);
      writeFileSync(journal, `${lines.join('\n')}\n`);
      const again = await FileStorage.open(place);
      t.same(await keysIn(again), [1, 2, 3].map(outboxKey));
      t.match(again.damage, /could not be read/);
      t.ok(existsSync(`${journal}.damaged`));
      await again.close();
      rmSync(place, { recursive: true });
    }),
    { numRuns: 50 },
  );
});

t.test('file: JSON of another shape is no line', async (t) => {
  const place = temporaryFolder(t);
  for (const line of ['null', '3', '[]', '{}', '{"put":null}', '{"put":{}}', '{"drop":1}', '{"marks":1}']) {
    writeFileSync(join(place, 'journal.jsonl'), `${line}\n`);
    const storage = await FileStorage.open(place);
    t.match(storage.damage, /could not be read/, line);
    await storage.close();
  }
});

t.test('file: the journal is written anew before it grows without end', async (t) => {
  const place = temporaryFolder(t);
  const storage = await FileStorage.open(place);
  const calls: Promise<void>[] = [];
  for (let number = 0; number < 9_000; number++) {
    calls.push(storage.putOutbox(storedEntry(number, 'x')), storage.deleteOutbox(outboxKey(number)));
    if (number % 500 === 0) await Promise.all(calls.splice(0));
  }
  await Promise.all(calls);
  const lines = readFileSync(join(place, 'journal.jsonl'), 'utf8').split('\n').length;
  t.ok(lines < 8_000, `${lines} lines`);
  await storage.putOutbox(storedEntry(1));
  await storage.close();
  const again = await FileStorage.open(place);
  t.same(await keysIn(again), [outboxKey(1)]);
  await again.close();
});

t.test('file: a folder is used by one client at a time, in this process or another', async (t) => {
  const place = temporaryFolder(t);
  const lock = join(place, 'lock');
  writeFileSync(lock, String(process.ppid));
  t.equal(await codeOf(FileStorage.open(place)), 'STATE_FILE_UNUSABLE');
  // A process of this number does not live: pids are smaller.
  writeFileSync(lock, '99999999');
  const storage = await FileStorage.open(place);
  t.equal(readFileSync(lock, 'utf8'), String(process.pid), 'a lock that a dead process has left is taken over');
  t.equal(await codeOf(FileStorage.open(place)), 'STATE_FILE_UNUSABLE');
  await storage.close();
  t.notOk(existsSync(lock));
  const next = await FileStorage.open(place);
  await storage.close();
  t.ok(existsSync(lock), 'closing twice frees nobody else’s');
  await next.close();
});

t.test('file: a place that is no folder is told by its code', async (t) => {
  const place = join(temporaryFolder(t), 'file');
  writeFileSync(place, '');
  t.equal(await codeOf(FileStorage.open(place)), 'STATE_FILE_UNUSABLE');
  const folder = join(temporaryFolder(t), 'a', 'b');
  mkdirSync(join(folder, 'journal.jsonl'), { recursive: true });
  t.equal(await codeOf(FileStorage.open(folder)), 'STATE_FILE_UNUSABLE');
  t.notOk(existsSync(join(folder, 'lock')), 'and it is not locked for that');
});
