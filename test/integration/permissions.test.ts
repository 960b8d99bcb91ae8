/** Least privilege, on a real server with the permissions of production: each role does its work, and not another's. */
import { mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { errors } from '@nats-io/nats-core';
import t, { type Test } from 'tap';
import { JetstreamLeases } from '../../src/adapters/jetstream/between-processes/leases.ts';
import { connectNats, type Nats, type Role } from '../../src/adapters/jetstream/connect.ts';
import { JetstreamDeviceCursors } from '../../src/adapters/jetstream/inbox/device-cursors.ts';
import { JetstreamLogReader } from '../../src/adapters/jetstream/log/log-reader.ts';
import { prepareNats } from '../../src/adapters/system/nats-configuration.ts';
import { natsRoles } from '../../src/adapters/system/nats-permissions.ts';
import { codeOf } from '../support/code-of.ts';
import { quiet, startNats } from '../support/nats.ts';

const topology = { convStreams: 2, inboxStreams: 2 };
const nats = await startNats({ topology });
t.teardown(() => nats.stop());

/** Whether the server refused it for want of permission; any other answer, none included, is a yes. */
async function mayPublish({ nc }: Nats, subject: string): Promise<boolean> {
  try {
    await nc.request(subject, '{}', { timeout: 250 });
    return true;
  } catch (error) {
    const { cause } = error as Error;
    return !(error instanceof errors.PermissionViolationError || cause instanceof errors.PermissionViolationError);
  }
}

async function maySubscribe({ nc }: Nats, subject: string): Promise<boolean> {
  let refused = false;
  const subscription = nc.subscribe(subject, {
    callback(error) {
      refused ||= error !== null;
    },
  });
  await nc.flush();
  subscription.unsubscribe();
  return !refused;
}

interface Lines {
  readonly publish: readonly string[];
  readonly subscribe: readonly string[];
}

async function check(t: Test, role: Role, may: Lines, mayNot: Lines): Promise<void> {
  const own = await nats.connect(role);
  for (const subject of may.publish) t.ok(await mayPublish(own, subject), `${role} may publish ${subject}`);
  for (const subject of may.subscribe) t.ok(await maySubscribe(own, subject), `${role} may subscribe ${subject}`);
  for (const subject of mayNot.publish) t.notOk(await mayPublish(own, subject), `${role} may not publish ${subject}`);
  for (const subject of mayNot.subscribe) {
    t.notOk(await maySubscribe(own, subject), `${role} may not subscribe ${subject}`);
  }
}

/** What is derived a worker makes anew where it was lost. */
const derived = [
  '$JS.API.CONSUMER.CREATE.CONV_0.fan-out',
  '$JS.API.CONSUMER.CREATE.CONV_0.fan-out.conv.*.*.*',
  '$JS.API.STREAM.CREATE.INBOX_0',
];

/** What nobody but the operator may do. */
const administration = [
  '$JS.API.STREAM.CREATE.OTHER',
  '$JS.API.STREAM.UPDATE.CONV_0',
  '$JS.API.STREAM.DELETE.CONV_0',
  '$JS.API.STREAM.PURGE.INBOX_0',
  '$JS.API.STREAM.MSG.DELETE.CONV_0',
  '$JS.API.STREAM.SNAPSHOT.CONV_0',
  '$JS.API.STREAM.CREATE.CONV_0',
  '$JS.API.CONSUMER.DURABLE.CREATE.CONV_0.fan-out',
  '$JS.API.CONSUMER.DELETE.CONV_0.fan-out',
  '$JS.API.DIRECT.GET.DEAD',
  '$JS.API.CONSUMER.CREATE.DEAD.x',
  '$JS.API.STREAM.NAMES',
  '$SYS.REQ.SERVER.PING',
];

t.test('a gateway appends and reads, and writes no inbox', (t) =>
  check(
    t,
    'gateway',
    {
      publish: [
        'conv.0.x.m',
        'user.0.x.block',
        'view.0',
        'query.1',
        'tailed.1',
        'typing',
        'counted',
        '$JS.API.DIRECT.GET.INBOX_1',
        '$KV.presence.users.0.x',
      ],
      subscribe: ['notice.*', 'typing', 'counted', '_INBOX_gateway.>'],
    },
    {
      publish: [
        ...['inbox.0.x', 'pack.0.0', 'term.0.0', 'cp.0.0', 'dead.w.s.1', 'notice.x', '$KV.leases.fan-out.0'],
        ...['$JS.API.CONSUMER.MSG.NEXT.CONV_0.fan-out', '$JS.API.CONSUMER.RESET.CONV_0.fan-out'],
        ...['$JS.ACK.CONV_0.fan-out.1.1.1.1.0', '$JS.API.DIRECT.GET.KV_leases.$KV.leases.x'],
        ...derived,
        ...administration,
      ],
      subscribe: ['>', 'conv.>', 'inbox.>', '_INBOX_fan-out-worker.>', '_INBOX_operator.>', '$KV.>'],
    },
  ),
);

t.test('a fan-out worker reads the log and writes inboxes, and appends nothing', (t) =>
  check(
    t,
    'fan-out-worker',
    {
      publish: [
        ...['inbox.0.x', 'pack.0.0', 'dead.w.s.1', 'notice.x', '$JS.API.STREAM.MSG.GET.INBOX_1'],
        '$JS.API.CONSUMER.MSG.NEXT.CONV_1.fan-out',
        ...derived,
      ],
      subscribe: ['view.*', 'tailed.*', '_INBOX_fan-out-worker.>'],
    },
    {
      publish: [
        'conv.0.x.m',
        'user.0.x.block',
        '$KV.cursors.u.d',
        '$KV.presence.users.0.x',
        '_INBOX_operator.x',
        ...administration,
      ],
      subscribe: ['>', 'conv.>', 'inbox.>', '_INBOX_gateway.>', 'typing', 'counted'],
    },
  ),
);

t.test('a read-model worker reads the log and answers gateways, and writes nothing', (t) =>
  check(
    t,
    'read-model-worker',
    {
      publish: [
        '$JS.API.STREAM.INFO.CONV_1',
        '$JS.API.DIRECT.GET.CONV_1',
        '$JS.API.CONSUMER.CREATE.CONV_1.x',
        '_INBOX_gateway.x',
        'standing.told.read-model.x',
      ],
      subscribe: ['query.*', 'standing.asked', '_INBOX_read-model-worker.>'],
    },
    {
      publish: [
        ...[
          'conv.0.x.m',
          'user.0.x.block',
          'inbox.0.x',
          'dead.w.s.1',
          'notice.x',
          'standing.told.fan-out.x',
          '$KV.leases.fan-out.0',
          '_INBOX_operator.x',
        ],
        ...['$JS.API.CONSUMER.MSG.NEXT.CONV_0.fan-out', '$JS.API.CONSUMER.RESET.CONV_0.fan-out'],
        ...derived,
        ...administration,
      ],
      subscribe: ['>', 'conv.>', 'inbox.>', 'view.*', '_INBOX_gateway.>', '_INBOX_fan-out-worker.>'],
    },
  ),
);

t.test('each role’s parts work with what it may do', async (t) => {
  const gateway = await nats.connect('gateway');
  const worker = await nats.connect('fan-out-worker');
  const operator = await nats.connect('operator');
  await operator.jsm.streams.purge('INBOX_0');
  const violations: string[] = [];
  for (const { nc } of [gateway, worker]) {
    void (async () => {
      for await (const status of nc.status()) if (status.type === 'error') violations.push(String(status.error));
    })();
  }
  const { seq } = await gateway.js.publish('conv.0.x.m', 'x');
  const read: number[] = [];
  for (const { nc, jsm, inboxPrefix } of [gateway, worker]) {
    for await (const { pos } of new JetstreamLogReader({ nc, jsm, inboxPrefix, convStream: 0 }).read(1, seq))
      read.push(pos);
  }
  t.equal(read.length, 2 * seq);
  const lease = await (await JetstreamLeases.open(worker.nc)).tryAcquire('fan-out.0', 'w');
  t.ok(lease);
  await lease?.release();
  const cursors = await JetstreamDeviceCursors.open(gateway.nc, quiet);
  cursors.confirm('u' as never, 'd' as never, { epoch: 'e', seqs: [1] } as never);
  await cursors.drain();
  t.ok(await cursors.get('u' as never, 'd' as never));
  t.equal((await worker.jsm.consumers.reset('CONV_0', 'fan-out', 1)).name, 'fan-out');
  t.same(violations, []);
});

t.test('credentials are readable by their owner alone and needed to get in', async (t) => {
  const { credentialsFile, url } = nats.server;
  for (const file of [credentialsFile, join(nats.dataDir, 'nats-server.conf')]) {
    t.equal(statSync(file).mode & 0o077, 0, file);
  }
  const credentials = JSON.parse(readFileSync(credentialsFile, 'utf8'));
  const wrong = join(nats.dataDir, 'wrong.json');
  writeFileSync(wrong, JSON.stringify({ ...credentials, gateway: { user: 'gateway', password: 'guess' } }));
  const as = (file: string, role: Role) =>
    codeOf(connectNats({ servers: [url], credentialsFile: file }, role, 'x', quiet));
  t.equal(await as(wrong, 'gateway'), 'CONFIGURATION_INVALID');
  writeFileSync(wrong, '{}');
  t.equal(await as(wrong, 'gateway'), 'CONFIGURATION_INVALID');
  t.equal(await as('/nowhere', 'gateway'), 'CONFIGURATION_INVALID');
});

t.test('a role that a later version has gets its credentials, and those that are there stay', async (t) => {
  const dataDir = mkdtempSync(join(tmpdir(), 'rookery-credentials-'));
  t.teardown(() => rmSync(dataDir, { recursive: true, force: true }));
  const file = join(dataDir, 'nats-credentials.json');
  const gateway = { user: 'gateway', password: 'as it was' };
  writeFileSync(file, JSON.stringify({ gateway }));
  prepareNats({ dataDir, port: 1, profile: 'default', topology });
  const credentials = JSON.parse(readFileSync(file, 'utf8'));
  t.same(Object.keys(credentials).sort(), [...natsRoles].sort());
  t.same(credentials.gateway, gateway);
  t.equal(statSync(file).mode & 0o077, 0);
});
