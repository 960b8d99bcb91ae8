import 'fake-indexeddb/auto';
import { appendFileSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import t from 'tap';
import { IndexedDbStorage } from '../../src/sdk/indexed-db-storage.ts';
import { FileStorage } from '../../src/sdk/node/file-storage.ts';
import { type OutboxEntry, outboxKey } from '../../src/sdk/outbox.ts';
import { MemoryStorage, type Storage } from '../../src/sdk/storage.ts';
import { codeOf } from '../support/code-of.ts';
import { bytes, conversation, msgId, user } from '../support/given.ts';

const entry = (number: number): OutboxEntry => ({
  key: outboxKey(number),
  clientMsgId: msgId(`m${number}`),
  request: {
    t: 'send',
    address: { to: user('鲍勃') },
    content: { contentType: 'text/plain', body: bytes(`\u0000 hi ${number} 🪺`) },
  },
});

const kinds: [string, (place: string) => Promise<Storage>, boolean][] = [
  ['memory', async () => new MemoryStorage(), false],
  ['IndexedDB', (place) => IndexedDbStorage.open(place), true],
  ['file', (place) => FileStorage.open(place), true],
];

for (const [name, open, outlives] of kinds) {
  t.test(`${name}: gives back what was put, in the order of the keys`, async (t) => {
    const place = mkdtempSync(join(tmpdir(), 'rookery-storage-'));
    t.teardown(() => rmSync(place, { recursive: true, force: true }));
    let storage = await open(place);
    for (const number of [1, 2, 3, 40]) await storage.putOutbox(entry(number));
    await storage.deleteOutbox(outboxKey(2));
    await storage.deleteOutbox(outboxKey(2));
    await storage.commit({ epoch: 'e', seq: 1 }, [[conversation('a'), { pos: 1, n: 1 }]]);
    await storage.commit({ epoch: 'e', seq: 9 }, [
      [conversation('b'), { pos: 7, n: 2 }],
      [conversation('a'), { pos: 8, n: 3 }],
    ]);
    if (outlives) {
      await storage.close();
      storage = await open(place);
    }
    const { outbox, cursor, marks } = await storage.load();
    t.same(
      [...outbox].sort((x, y) => (x.key < y.key ? -1 : 1)).map(({ key }) => key),
      [1, 3, 40].map(outboxKey),
    );
    const [first] = outbox;
    t.same(first && 'content' in first.request && [...first.request.content.body], [...bytes('\u0000 hi 1 🪺')]);
    t.same(cursor, { epoch: 'e', seq: 9 });
    t.same(Object.fromEntries(marks), { a: { pos: 8, n: 3 }, b: { pos: 7, n: 2 } });
    await storage.close();
  });
}

t.test('file: a line torn by a crash is left out, all before it holds', async (t) => {
  const place = mkdtempSync(join(tmpdir(), 'rookery-storage-'));
  t.teardown(() => rmSync(place, { recursive: true, force: true }));
  const before = await FileStorage.open(place);
  await before.putOutbox(entry(1));
  await before.close();
  appendFileSync(join(place, 'journal.jsonl'), '{"put":{"key":"0000');
  const after = await FileStorage.open(place);
  t.same(
    (await after.load()).outbox.map(({ key }) => key),
    [outboxKey(1)],
  );
  await after.putOutbox(entry(2));
  await after.close();
  const last = await FileStorage.open(place);
  t.equal((await last.load()).outbox.length, 2);
  await last.close();
});

t.test('file: a folder is used by one process at a time', async (t) => {
  const place = mkdtempSync(join(tmpdir(), 'rookery-storage-'));
  t.teardown(() => rmSync(place, { recursive: true, force: true }));
  writeFileSync(join(place, 'lock'), String(process.ppid));
  t.equal(await codeOf(FileStorage.open(place)), 'STATE_FILE_UNUSABLE');
});
