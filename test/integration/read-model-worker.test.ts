/** The worker on a real log: killed at each of its steps, after a log that lost its end, and beside a replica. */
import { join } from 'node:path';
import Database from 'better-sqlite3';
import t, { type Test } from 'tap';
import type { Nats } from '../../src/adapters/jetstream/connect.ts';
import { JetstreamLogReader } from '../../src/adapters/jetstream/log/log-reader.ts';
import { SqliteReadModel } from '../../src/adapters/sqlite/read-model.ts';
import type { ReadModelStep } from '../../src/application/read-model/read-model-lane.ts';
import type { ConversationEvent } from '../../src/domain/conversation.ts';
import { isUnreadable, type LogEvent } from '../../src/ports/conversation-log.ts';
import { foldWindow } from '../../src/projections/fan-out.ts';
import { readModelChanges } from '../../src/projections/read-model.ts';
import { encodeLogEvent } from '../../src/protocol/log-event.ts';
import { conversationSubject, messageIdOf } from '../../src/protocol/subjects.ts';
import { bytes, conversation, msgId, user } from '../support/given.ts';
import { startNats, type TestNats } from '../support/nats.ts';
import { type RunningProcess, startProcess } from '../support/processes.ts';
import { eventually } from '../support/waiting.ts';

const group = conversation('rooks 1');
const [alice, bob] = [user('alice'), user('bob')];

async function append({ js }: Nats, event: ConversationEvent): Promise<number> {
  const part = event.type === 'messageSent' ? 'm' : event.type === 'conversationRead' ? 'r' : 's';
  const msgID = messageIdOf(group, event.by, event.id);
  return (await js.publish(conversationSubject(group, part), encodeLogEvent(event), { msgID, retries: 20 })).seq;
}

const create = (nats: Nats): Promise<number> =>
  append(nats, { type: 'groupCreated', by: alice, id: msgId('new'), name: 'Rooks', members: [bob] });

/** Messages and marks; resolves with the position of the last one. */
async function speak(nats: Nats, from: number, count: number): Promise<number> {
  let pos = 0;
  for (let i = from; i < from + count; i++) {
    const id = msgId(`m${i}`);
    pos = await append(nats, { type: 'messageSent', by: alice, id, contentType: 'text/plain', body: bytes(id) });
    if (i % 5 === 0) pos = await append(nats, { type: 'conversationRead', by: bob, id: msgId(`r${i}`), upTo: i });
  }
  return pos;
}

function start(
  t: Test,
  { server, dataDir }: TestNats,
  failpoint?: { readonly step: ReadModelStep; readonly times: number },
  folder = 'read-model',
): RunningProcess {
  const nats = { servers: [server.url], credentialsFile: server.credentialsFile };
  const configuration = { nats, logLevel: 'info', stateDir: join(dataDir, folder), ...(failpoint && { failpoint }) };
  const worker = startProcess('read-model-worker', configuration, dataDir);
  t.teardown(async () => {
    worker.child.kill('SIGKILL');
    await worker.ended;
  });
  return worker;
}

const fileOf = ({ dataDir }: TestNats, folder = 'read-model'): string => join(dataDir, folder, 'lane-0.sqlite');

/** Waits until the file has reached `pos`. */
async function reached(nats: TestNats, pos: number, folder?: string): Promise<void> {
  const position = (): number => {
    const db = new Database(fileOf(nats, folder), { readonly: true });
    const row = db.prepare("SELECT value FROM about WHERE key = 'position'").pluck().get();
    db.close();
    return Number(row ?? 0);
  };
  await eventually(() => position() === pos, `position ${pos}`, 20_000);
}

const TABLES = [
  'summary',
  'stay',
  'past_stay',
  'entry',
  'place',
  'edit',
  'recall',
  'mention',
  'receipt',
  'read_mark',
  'seen',
];

function dump(path: string): Record<string, unknown[]> {
  const db = new Database(path, { readonly: true });
  const tables = Object.fromEntries(
    TABLES.map((name) => [name, db.prepare(`SELECT * FROM ${name} ORDER BY 1, 2, 3`).all()]),
  );
  db.close();
  return tables;
}

/** The same log, folded in one piece into another file. */
async function rebuilt(nats: TestNats, operator: Nats): Promise<Record<string, unknown[]>> {
  const reader = new JetstreamLogReader({ ...operator, convStream: 0 });
  const events: LogEvent[] = [];
  const end = await reader.lastPos();
  for await (const record of reader.read(1, end)) if (!isUnreadable(record)) events.push(record);
  const path = join(nats.dataDir, `rebuilt-${crypto.randomUUID()}.sqlite`);
  const model = new SqliteReadModel({ path, log: 'rebuilt' });
  const { changes, accepted } = foldWindow(model, events);
  model.write(changes, readModelChanges(accepted), end, events.at(-1));
  model.close();
  return dump(path);
}

const deaths: { step: ReadModelStep; times: number }[] = [
  { step: 'opened', times: 1 },
  { step: 'folded', times: 1 },
  { step: 'folded', times: 4 },
  { step: 'written', times: 1 },
  { step: 'written', times: 4 },
];

t.test('a worker killed between any two steps repeats and lacks nothing: its rows are those of one fold', async (t) => {
  const nats = await startNats();
  t.teardown(() => nats.stop());
  const operator = await nats.connect('operator');
  await create(operator);
  let sent = 0;
  for (const death of deaths) {
    const dying = start(t, nats, death);
    let alive = true;
    const end = dying.ended.finally(() => (alive = false));
    do {
      await speak(operator, sent, 20);
      sent += 20;
    } while (alive);
    t.equal(await end, 'SIGKILL', `killed at ${death.step}, time ${death.times}`);
  }
  await operator.js.publish(conversationSubject(group, 'm'), 'no code can read this');
  const last = await speak(operator, sent, 20);
  const worker = start(t, nats);
  await worker.said('lane current');
  await reached(nats, last);
  await worker.said('event left out');
  const rows = dump(fileOf(nats));
  t.equal(rows.entry?.length, sent + 20 + 1);
  t.same(rows, await rebuilt(nats, operator));
});

t.test('nats-server killed in mid-stream: the worker goes on, and so does a replica beside it', async (t) => {
  const nats = await startNats();
  t.teardown(() => nats.stop());
  const operator = await nats.connect('operator');
  await create(operator);
  const worker = start(t, nats);
  const replica = start(t, nats, undefined, 'replica');
  await Promise.all([worker.said('lane current'), replica.said('lane current')]);
  const speaking = speak(operator, 0, 300);
  nats.server.signal('SIGKILL');
  await nats.server.respawn();
  const last = await speaking;
  await Promise.all([reached(nats, last), reached(nats, last, 'replica')]);
  t.same(dump(fileOf(nats)), await rebuilt(nats, operator));
  t.same(dump(fileOf(nats)), dump(fileOf(nats, 'replica')));
});

t.test('what the file ends with no longer stands in the log: it begins anew', async (t) => {
  const nats = await startNats();
  t.teardown(() => nats.stop());
  const operator = await nats.connect('operator');
  await create(operator);
  const first = start(t, nats);
  await reached(nats, await speak(operator, 0, 6).then((last) => first.said('lane current').then(() => last)));
  first.child.kill('SIGTERM');
  t.equal(await first.ended, '0');
  const db = new Database(fileOf(nats));
  db.prepare("UPDATE about SET value = json_set(value, '$.event', 'another') WHERE key = 'witness'").run();
  db.prepare('DELETE FROM entry').run();
  db.close();
  const second = start(t, nats);
  await second.said('read model of another log');
  await second.said('lane current');
  t.same(dump(fileOf(nats)), await rebuilt(nats, operator));
});

t.test('two workers do not share a folder', async (t) => {
  const nats = await startNats();
  t.teardown(() => nats.stop());
  const first = start(t, nats);
  await first.said('lane current');
  const second = start(t, nats);
  t.equal(await second.ended, '1');
  t.match(second.lines.join('\n'), /ALREADY_RUNNING/);
});
