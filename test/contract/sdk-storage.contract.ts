/** What every storage of the SDK promises. */
// long because: a contract is one list of what every storage does
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import t, { type Test } from 'tap';
import { outboxKey } from '../../src/sdk/outbox.ts';
import type { OutboxEntry } from '../../src/sdk/requests.ts';
import type { Storage } from '../../src/sdk/storage.ts';
import { bytes, conversation, msgId, user } from '../support/given.ts';

export const storedEntry = (number: number, text = `\u0000 hi ${number} 🪺`): OutboxEntry => ({
  key: outboxKey(number),
  clientMsgId: msgId(`m${number}`),
  request: {
    t: 'send',
    address: { to: user('鲍勃') },
    content: { contentType: 'text/plain', body: bytes(text), mentions: [user('bob')] },
  },
});

export function temporaryFolder(t: Test): string {
  const folder = mkdtempSync(join(tmpdir(), 'rookery-storage-'));
  t.teardown(() => rmSync(folder, { recursive: true, force: true }));
  return folder;
}

export const keysIn = async (storage: Storage): Promise<string[]> =>
  (await storage.load()).outbox.map(({ key }) => key).sort();

/**
 * @param open a storage at a place of its own; the same place again gives what was left there
 * @param outlives whether it does so after a close
 */
export function describeStorage(name: string, open: (place: string) => Promise<Storage>, outlives: boolean): void {
  const reopened = async (storage: Storage, place: string): Promise<Storage> => {
    if (!outlives) return storage;
    await storage.close();
    return open(place);
  };

  t.test(`${name}: is empty at first`, async (t) => {
    const storage = await open(temporaryFolder(t));
    t.same(await storage.load(), { outbox: [], cursor: undefined, marks: [] });
    await storage.close();
    await storage.close();
  });

  t.test(`${name}: gives back the outbox as it was put, bytes and all`, async (t) => {
    const place = temporaryFolder(t);
    const command = { type: 'leaveGroup', conversation: conversation('team') } as const;
    const entries = [
      storedEntry(1),
      storedEntry(2),
      { ...storedEntry(3), request: { t: 'command', command } as const },
    ];
    let storage = await open(place);
    for (const entry of entries) await storage.putOutbox(entry);
    await storage.deleteOutbox(outboxKey(2));
    await storage.deleteOutbox(outboxKey(2));
    storage = await reopened(storage, place);
    const { outbox } = await storage.load();
    t.same(await keysIn(storage), [1, 3].map(outboxKey));
    const found = outbox.find(({ key }) => key === outboxKey(1));
    t.same(found, entries[0]);
    t.ok(found?.request.t === 'send' && found.request.content.body instanceof Uint8Array);
    t.same(
      outbox.find(({ key }) => key === outboxKey(3)),
      entries[2],
    );
    await storage.close();
  });

  t.test(`${name}: calls take effect in the order they are made, also where none waits for another`, async (t) => {
    const place = temporaryFolder(t);
    let storage = await open(place);
    const calls: Promise<void>[] = [];
    for (let number = 0; number < 200; number++) {
      calls.push(storage.putOutbox(storedEntry(number)));
      if (number % 3 > 0) calls.push(storage.deleteOutbox(outboxKey(number)));
      calls.push(storage.commit({ epoch: 'e', seq: number }, [[conversation('a'), { pos: number, n: 1, at: 1 }]]));
    }
    await Promise.all(calls);
    storage = await reopened(storage, place);
    t.same(
      await keysIn(storage),
      Array.from({ length: 67 }, (_, i) => outboxKey(i * 3)),
    );
    const { cursor, marks } = await storage.load();
    t.same([cursor?.seq, marks[0]?.[1].pos], [199, 199]);
    await storage.close();
  });

  t.test(`${name}: what is not in a commit stays as it was`, async (t) => {
    const place = temporaryFolder(t);
    const [a, b] = ['a', 'b'].map(conversation) as [ReturnType<typeof conversation>, ReturnType<typeof conversation>];
    let storage = await open(place);
    await storage.commit(undefined, [[a, { pos: 1, n: 1, at: 10 }]]);
    t.equal((await storage.load()).cursor, undefined);
    const sync = { since: 5, isFirst: false, reached: '1.2', page: 'p' };
    await storage.commit({ epoch: 'e', seq: 9, asOf: 7, sync }, [[b, { pos: 7, n: 2, at: 11 }]]);
    await storage.commit(undefined, [[a, { pos: 8, n: 3, at: 12 }]]);
    storage = await reopened(storage, place);
    const { cursor, marks } = await storage.load();
    t.same(cursor, { epoch: 'e', seq: 9, asOf: 7, sync });
    t.same(Object.fromEntries(marks), { a: { pos: 8, n: 3, at: 12 }, b: { pos: 7, n: 2, at: 11 } });
    await storage.close();
  });

  t.test(`${name}: a call after the close fails or is as if it had come before, and hangs nowhere`, async (t) => {
    const storage = await open(temporaryFolder(t));
    await storage.close();
    if (!outlives) return;
    await t.rejects(Promise.resolve().then(() => storage.putOutbox(storedEntry(1))));
    await t.rejects(Promise.resolve().then(() => storage.commit(undefined, [])));
  });
}
