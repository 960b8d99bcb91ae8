/** Three nats-servers as config/cluster says: three replicas of each stream, and what is acked outlives a leader. */
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import t from 'tap';
import { findNatsServer } from '../../scripts/nats-server.ts';
import { connectNats, type Role } from '../../src/adapters/jetstream/connect.ts';
import { JetstreamConversationLog } from '../../src/adapters/jetstream/log/conversation-log.ts';
import { JetstreamLogReader } from '../../src/adapters/jetstream/log/log-reader.ts';
import { loadDefinitions } from '../../src/adapters/jetstream/streams/stream-definitions.ts';
import { applyStreams, diffStreams } from '../../src/adapters/jetstream/streams/streams.ts';
import { SupervisedProcess } from '../../src/adapters/system/supervised-process.ts';
import { writeCluster } from '../../src/cli/cluster.ts';
import type { ConversationEvent } from '../../src/domain/conversation.ts';
import { isUnreadable } from '../../src/ports/conversation-log.ts';
import { clusterSchema } from '../../src/processes/configuration/cluster.ts';
import { loadConfiguration } from '../../src/processes/configuration/load.ts';
import { codeOf } from '../support/code-of.ts';
import { bytes, conversation, msgId, user } from '../support/given.ts';
import { freePort, quiet } from '../support/nats.ts';
import { eventually } from '../support/waiting.ts';

const MODEL = join(import.meta.dirname, '..', '..', 'config', 'cluster', 'cluster.json');
const topology = { convStreams: 1, inboxStreams: 1 };
const limits = { maxAppends: 1_000, maxAppendBytes: 1_048_576, appendDeadlineMs: 20_000 };

const dir = mkdtempSync(join(tmpdir(), 'rookery-cluster-'));
t.teardown(() => rmSync(dir, { recursive: true, force: true }));

/** The model, moved to this machine. */
async function clusterHere() {
  const { config } = loadConfiguration(clusterSchema, { file: MODEL, environment: {} });
  const members = config.members.map(async ({ name }) => ({
    name,
    clientAddress: `127.0.0.1:${await freePort()}`,
    routeAddress: `127.0.0.1:${await freePort()}`,
    storeDir: join(dir, name),
  }));
  return { ...config, topology, members: await Promise.all(members) };
}

const cluster = await clusterHere();
const written = await writeCluster(cluster, dir);
const { path: command } = await findNatsServer();
const servers = new Map(
  cluster.members.map(({ name }) => {
    const args = ['-c', join(dir, `${name}.conf`)];
    const logFile = join(dir, `${name}.log`);
    const parts = { name, command, args, logFile, log: quiet, restart: false, endsWithInput: false };
    return [name, new SupervisedProcess(parts)] as const;
  }),
);
for (const server of servers.values()) server.start();
t.teardown(() => Promise.all([...servers.values()].map((server) => server.stop())));

async function connected(role: Role) {
  const access = {
    servers: cluster.members.map(({ clientAddress }) => `nats://${clientAddress}`),
    credentialsFile: written.at(-1) as string,
  };
  const nats = await eventually(() => connectNats(access, role, `test ${role}`, quiet).catch(() => undefined), role);
  t.teardown(() => nats.nc.close());
  return nats;
}

const said = (id: string): ConversationEvent => ({
  ...{ type: 'messageSent', by: user('alice'), id: msgId(id) },
  ...{ contentType: 'text/plain', body: bytes(id) },
});

async function idsInLog(reader: JetstreamLogReader, from = 1): Promise<string[]> {
  const read = async (): Promise<string[]> => {
    const ids: string[] = [];
    for await (const record of reader.read(from, await reader.lastPos())) {
      if (!isUnreadable(record)) ids.push(record.event.id);
    }
    return ids;
  };
  // Right after an election a read may be interrupted.
  return eventually(() => read().catch(() => undefined), 'the log is read');
}

t.test('the streams are applied with three replicas, and none of them lags', async (t) => {
  const { jsm } = await connected('operator');
  const definitions = loadDefinitions({ topology, replicas: 3 });
  // Until the members have chosen who leads them, and know of each other's disks, they take no stream.
  await eventually(() => applyStreams(jsm, definitions).catch(() => undefined), 'the streams are applied');
  t.same(await diffStreams(jsm, definitions), []);
  for (const { name = '' } of definitions.streams) {
    const replicas = await eventually(async () => {
      const { leader, replicas = [] } = (await jsm.streams.info(name)).cluster ?? {};
      return leader && replicas.every(({ current }) => current) ? [leader, ...replicas.map((one) => one.name)] : false;
    }, `${name} is whole`);
    t.same(replicas.toSorted(), [...servers.keys()], name);
  }
});

t.test('what one sends keeps its order while the log changes its leader', async (t) => {
  const { jsm, nc, inboxPrefix } = await connected('operator');
  const gateway = await connected('gateway');
  const log = new JetstreamConversationLog(gateway.nc, gateway.inboxPrefix, topology, limits);
  const talk = conversation('orderly');
  const leaders = new Set<string>();
  const acks: Promise<unknown>[] = [];
  for (let round = 0; round < 6; round++) {
    for (let i = 0; i < 40; i++) acks.push(log.append(talk, said(`m${String(acks.length).padStart(4, '0')}`)));
    const { leader } = await eventually(async () => {
      const { cluster } = await jsm.streams.info('CONV_0').catch(() => ({ cluster: undefined }));
      return cluster?.leader ? { leader: cluster.leader } : undefined;
    }, 'a leader');
    leaders.add(leader);
    await nc.request('$JS.API.STREAM.LEADER.STEPDOWN.CONV_0', '{}', { timeout: 5_000 });
    for (let i = 0; i < 40; i++) acks.push(log.append(talk, said(`m${String(acks.length).padStart(4, '0')}`)));
    await acks.at(-60);
  }
  await Promise.all(acks);
  t.ok(leaders.size > 1, 'it was led by several');
  const ids = await idsInLog(new JetstreamLogReader({ nc, jsm, inboxPrefix, convStream: 0 }));
  t.equal(ids.length, acks.length);
  t.same(ids, ids.toSorted());
  await log.drain();
});

t.test('what was acked outlives the leader of the log, and senders go on', async (t) => {
  const { jsm, nc, inboxPrefix } = await connected('operator');
  const gateway = await connected('gateway');
  const log = new JetstreamConversationLog(gateway.nc, gateway.inboxPrefix, topology, limits);
  const talk = conversation('talk');
  const say = (id: string) => log.append(talk, said(id));
  const behind = (await jsm.streams.info('CONV_0')).state.last_seq;
  await say('before');
  const leader = (await jsm.streams.info('CONV_0')).cluster?.leader as string;
  const after = [say('in the midst')];
  servers.get(leader)?.signal('SIGKILL');
  after.push(say('after'));
  await Promise.all(after);
  const { cluster: now } = await eventually(() => jsm.streams.info('CONV_0').catch(() => undefined), 'a new leader');
  t.not(now?.leader, leader);
  const reader = new JetstreamLogReader({ nc, jsm, inboxPrefix, convStream: 0 });
  const ids = await idsInLog(reader, behind + 1);
  t.same(ids, ['before', 'in the midst', 'after']);
  await log.drain();
});

t.test('two members of one name are refused', async (t) => {
  const [first] = cluster.members;
  const twice = { ...cluster, members: cluster.members.map((member) => ({ ...member, name: first?.name ?? '' })) };
  t.equal(await codeOf(writeCluster(twice, join(dir, 'twice'))), 'CONFIGURATION_INVALID');
});

t.test('a member syncs each commit, tells no addresses, and keeps its secrets to its owner', async (t) => {
  const [file = ''] = written;
  const text = readFileSync(file, 'utf8');
  t.match(text, /sync_interval: always/);
  t.match(text, /no_advertise: true/);
  const relaxed = await writeCluster({ ...cluster, profile: 'default' }, join(dir, 'relaxed'));
  t.match(readFileSync(relaxed[0] ?? '', 'utf8'), /sync_interval: "1s"/);
});
