import t from 'tap';
import { loadDefinitions } from '../../src/adapters/jetstream/stream-definitions.ts';
import { applyStreams, diffStreams } from '../../src/adapters/jetstream/streams.ts';
import { codeOf } from '../support/code-of.ts';
import { startNats } from '../support/nats.ts';

const two = { convStreams: 2, inboxStreams: 2 };

t.test('what was applied shows no difference', async (t) => {
  const nats = await startNats({ topology: two });
  t.teardown(() => nats.stop());
  const { jsm } = await nats.connect('operator');
  t.same(await diffStreams(jsm, loadDefinitions({ topology: two, replicas: 1 })), []);
  const names = (await jsm.streams.list().next()).map(({ config }) => config.name).sort();
  t.same(names, ['CONV_0', 'CONV_1', 'DEAD', 'INBOX_0', 'INBOX_1', 'KV_cursors', 'KV_leases', 'USER']);
});

t.test('a change is shown field by field, applied, and refused where it would lose data', async (t) => {
  const nats = await startNats();
  t.teardown(() => nats.stop());
  const { jsm } = await nats.connect('operator');
  const wanted = loadDefinitions({ topology: nats.topology, replicas: 1 });
  const inbox = wanted.streams.find(({ name }) => name === 'INBOX_0') ?? {};

  const larger = { ...wanted, streams: [{ ...inbox, max_bytes: (inbox.max_bytes ?? 0) * 2 }] };
  t.match(await diffStreams(jsm, larger), [{ name: 'INBOX_0', change: 'update', fields: [{ field: 'max_bytes' }] }]);
  await applyStreams(jsm, larger);
  t.equal((await jsm.streams.info('INBOX_0')).config.max_bytes, (inbox.max_bytes ?? 0) * 2);

  t.equal(await codeOf(applyStreams(jsm, wanted)), 'STREAM_CHANGE_REFUSED');
  t.equal((await jsm.streams.info('INBOX_0')).config.max_bytes, (inbox.max_bytes ?? 0) * 2, 'nothing was changed');
  await applyStreams(jsm, wanted, { allowDataLoss: true });
  t.equal((await jsm.streams.info('INBOX_0')).config.max_bytes, inbox.max_bytes);

  const fewer = { ...wanted, streams: [{ ...inbox, subjects: ['pack.0.*'] }] };
  t.equal(await codeOf(applyStreams(jsm, fewer)), 'STREAM_CHANGE_REFUSED');
});

t.test('each role may do its work and not the others’', async (t) => {
  const nats = await startNats();
  t.teardown(() => nats.stop());
  const gateway = await nats.connect('gateway');
  const worker = await nats.connect('fan-out-worker');
  await gateway.js.publish('conv.0.x.m', 'x');
  await worker.js.publish('inbox.0.x', 'x');
  t.equal((await gateway.jsm.streams.getMessage('INBOX_0', { seq: 1 }))?.seq, 1);
  await t.rejects(gateway.js.publish('inbox.0.x', 'x', { timeout: 500 }), 'a gateway writes no inbox');
  await t.rejects(worker.js.publish('conv.0.x.m', 'x', { timeout: 500 }), 'a worker writes no conversation');
  await t.rejects(gateway.jsm.streams.delete('CONV_0'), 'nobody but the operator deletes');
  await t.rejects(worker.jsm.streams.purge('INBOX_0'));
});
