import { cpSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import t from 'tap';
import {
  type Definitions,
  loadDefinitions,
  STREAMS_DIR,
} from '../../src/adapters/jetstream/streams/stream-definitions.ts';
import { applyStreams, diffStreams } from '../../src/adapters/jetstream/streams/streams.ts';
import { codeOf } from '../support/code-of.ts';
import { startNats } from '../support/nats.ts';

const one = { convStreams: 1, inboxStreams: 1 };
const two = { convStreams: 2, inboxStreams: 2 };
const four = { convStreams: 4, inboxStreams: 4 };
const definitions = (topology = one) => loadDefinitions({ topology, replicas: 1 });

/** The definitions with some fields of one stream, or one consumer, changed. */
function changed(wanted: Definitions, name: string, fields: object): Definitions {
  return {
    ...wanted,
    streams: wanted.streams.map((stream) => (stream.name === name ? { ...stream, ...fields } : stream)),
    consumers: wanted.consumers.map(({ stream, config }) =>
      `${stream}/${config.durable_name}` === name ? { stream, config: { ...config, ...fields } } : { stream, config },
    ),
  };
}

t.test('what was applied shows no difference', async (t) => {
  const nats = await startNats({ topology: two });
  t.teardown(() => nats.stop());
  const { jsm } = await nats.connect('operator');
  t.same(await diffStreams(jsm, definitions(two)), []);
  const names: string[] = [];
  for await (const name of jsm.streams.names()) names.push(name);
  t.same(names.sort(), [
    'CONV_0',
    'CONV_1',
    'DEAD',
    'INBOX_0',
    'INBOX_1',
    'KV_cursors',
    'KV_leases',
    'KV_presence',
    'USER',
  ]);
});

t.test('a change is shown field by field, and only then made', async (t) => {
  const nats = await startNats();
  t.teardown(() => nats.stop());
  const { jsm } = await nats.connect('operator');
  const wanted = definitions();

  const larger = changed(wanted, 'INBOX_0', { max_bytes: 600_000_000 });
  t.same(await diffStreams(jsm, larger), [
    {
      name: 'INBOX_0',
      change: 'update',
      fields: [{ field: 'max_bytes', from: 314_572_800, to: 600_000_000 }],
    },
  ]);
  t.equal((await jsm.streams.info('INBOX_0')).config.max_bytes, 314_572_800, 'a diff changes nothing');
  await applyStreams(jsm, larger);
  t.equal((await jsm.streams.info('INBOX_0')).config.max_bytes, 600_000_000);

  const patient = changed(larger, 'CONV_0/fan-out', { ack_wait: 60e9 });
  t.match(await applyStreams(jsm, patient), [{ name: 'CONV_0/fan-out', change: 'update', fields: { length: 1 } }]);
  t.equal((await jsm.consumers.info('CONV_0', 'fan-out')).config.ack_wait, 60e9);
  t.same(await diffStreams(jsm, patient), []);
});

t.test('what would lose data is refused unless it is allowed, and then nothing at all is changed', async (t) => {
  const nats = await startNats();
  t.teardown(() => nats.stop());
  const { jsm } = await nats.connect('operator');
  const wanted = definitions();
  const losing: [string, object][] = [
    ['INBOX_0', { max_bytes: 1_048_576 }],
    ['INBOX_0', { max_age: 1e9 }],
    ['CONV_0', { max_msgs: 1_000 }],
    ['CONV_0', { discard: 'old' }],
    ['INBOX_0', { subjects: ['inbox.*.*', 'pack.0.*', 'term.0.*'] }],
    ['CONV_0', { subjects: ['conv.7.*.*'] }],
    ['CONV_0/fan-out', { max_deliver: 5 }],
  ];
  for (const [name, fields] of losing) {
    const harmless = changed(wanted, 'USER', { max_msg_size: 524_288 });
    t.equal(await codeOf(applyStreams(jsm, changed(harmless, name, fields))), 'STREAM_CHANGE_REFUSED', name);
  }
  t.same(await diffStreams(jsm, wanted), [], 'nothing was changed');

  await applyStreams(jsm, changed(wanted, 'INBOX_0', { max_bytes: 1_048_576 }), { allowDataLoss: true });
  t.equal((await jsm.streams.info('INBOX_0')).config.max_bytes, 1_048_576);
});

t.test('what the server cannot change is refused with its name, whatever is allowed', async (t) => {
  const nats = await startNats();
  t.teardown(() => nats.stop());
  const { jsm } = await nats.connect('operator');
  for (const [name, fields] of [
    ['CONV_0', { storage: 'memory' }],
    ['CONV_0', { deny_delete: false }],
    ['DEAD', { retention: 'workqueue' }],
    ['CONV_0/fan-out', { ack_policy: 'all' }],
  ] as const) {
    const field = Object.keys(fields)[0];
    await t.rejects(applyStreams(jsm, changed(definitions(), name, fields), { allowDataLoss: true }), {
      code: 'STREAM_CHANGE_REFUSED',
      message: `${name}.${field}`,
    });
  }
  t.same(await diffStreams(jsm, definitions()), []);
});

t.test('a wider subject takes nothing away', async (t) => {
  const nats = await startNats({ topology: two });
  t.teardown(() => nats.stop());
  const { jsm } = await nats.connect('operator');
  const wider = changed(definitions(two), 'DEAD', { subjects: ['dead.>'] });
  await applyStreams(jsm, wider);
  t.same((await jsm.streams.info('DEAD')).config.subjects, ['dead.>']);
});

t.test('ranges move between streams in an order the server takes, and only when told so', async (t) => {
  const nats = await startNats();
  t.teardown(() => nats.stop());
  const { jsm } = await nats.connect('operator');
  for (const topology of [four, two, one, four]) {
    t.equal(await codeOf(applyStreams(jsm, definitions(topology))), 'STREAM_CHANGE_REFUSED');
    await applyStreams(jsm, definitions(topology), { allowDataLoss: true });
    t.same(await diffStreams(jsm, definitions(topology)), []);
  }
});

t.test('a stream that another part of the deployment has made is none of ours', async (t) => {
  const nats = await startNats();
  t.teardown(() => nats.stop());
  const { jsm } = await nats.connect('operator');
  await jsm.streams.add({ name: 'CONV_backup', subjects: ['backup.>'] });
  t.same(await diffStreams(jsm, definitions()), []);
});

t.test('a file with a mistake is named', async (t) => {
  const dir = mkdtempSync(join(tmpdir(), 'rookery-streams-'));
  t.teardown(() => rmSync(dir, { recursive: true }));
  cpSync(STREAMS_DIR, dir, { recursive: true });
  const good = JSON.parse(readFileSync(join(dir, 'conv.json'), 'utf8'));
  for (const wrong of [
    { ...good, max_agee: 5 },
    { ...good, max_consumers: -1 },
    { ...good, subjects: 'conv.>' },
  ]) {
    writeFileSync(join(dir, 'conv.json'), JSON.stringify(wrong));
    t.throws(() => loadDefinitions({ topology: one, replicas: 1 }, dir), {
      code: 'CONFIGURATION_INVALID',
      message: /conv\.json/,
    });
  }
});
