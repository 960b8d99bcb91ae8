/**
 * The configuration of nats-server: of the embedded one (one node, loopback) and of a member of a cluster. File storage, one
 * NATS user a role with the rights of nats-permissions.ts. Credentials are made once and kept, readable by the owner alone.
 */
import { randomBytes } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { RookeryError } from '../../protocol/error-codes.ts';
import type { Topology } from '../../protocol/subjects.ts';
import { type NatsRole, natsRoles, permissionsOf } from './nats-permissions.ts';
import { ensureSecretFile, writeSecretFile } from './secret-file.ts';

/** `default` survives the death of every process (a fsync each second); `sync` survives power loss (a fsync each append). */
export type DurabilityProfile = 'default' | 'sync';
/**
 * Of a cluster: `cluster` has each append on the disks of a quorum before its ack (a fsync a commit, shared by many appends)
 * and survives power loss of all members at once; `default` (a fsync each second) that of a minority.
 */
export type ClusterProfile = 'default' | 'cluster';

/** Above the largest run (256 KiB) and pack with room for headers; bodies are at most 64 KiB by default. */
const MAX_PAYLOAD_BYTES = 1_048_576;
/** What a client may leave unread before it is cut: the tails of a busy gateway need more than the server's 64 MiB. */
const MAX_PENDING_BYTES = 268_435_456;
/** In the file that clients read: without these there is no way in. */
const PASSWORD_BYTES = 24;
/** A route that does not answer two pings is given up: one that lost its way in silence is found within three times this. */
const ROUTE_PING_INTERVAL = '5s';
const ROUTE_PING_MAX = 2;

/** Whom the members of a cluster take each other for: no role, so no client gets in with it. */
const ROUTE = 'route';

interface Credential {
  readonly user: string;
  readonly password: string;
}
type Credentials<Name extends string = NatsRole> = Readonly<Record<Name, Credential>>;

export interface EmbeddedNats {
  readonly dataDir: string;
  readonly port: number;
  readonly profile: DurabilityProfile;
  readonly topology: Topology;
}

/** One of three (or five) nats-servers that keep the same streams. */
export interface ClusterMember {
  /** Unique in the cluster, and the same for life: the replicas of a stream belong to names. */
  readonly serverName: string;
  readonly clusterName: string;
  /** `host:port` at which it listens for clients. */
  readonly clientAddress: string;
  /** `host:port` at which it listens for the other members. */
  readonly routeAddress: string;
  /** `host:port` at which it reaches each other member. */
  readonly routes: readonly string[];
  /** `host:port` that members tell each other of it, where that is not `routeAddress`. */
  readonly advertisedRoute?: string;
  readonly storeDir: string;
  readonly profile: ClusterProfile;
  readonly topology: Topology;
}

/** Writes the configuration for this start, and the credentials unless they exist. */
export function prepareNats(nats: EmbeddedNats): { readonly configFile: string; readonly credentialsFile: string } {
  const credentialsFile = join(nats.dataDir, 'nats-credentials.json');
  const configFile = join(nats.dataDir, 'nats-server.conf');
  const credentials = credentialsIn(credentialsFile, natsRoles);
  writeSecretFile(configFile, embeddedText(nats, credentials));
  return { configFile, credentialsFile };
}

/** Writes a member's configuration, and the credentials, which all members share, unless they exist. */
export function prepareClusterMember(member: ClusterMember, configFile: string, credentialsFile: string): void {
  writeSecretFile(configFile, memberText(member, credentialsIn(credentialsFile, [...natsRoles, ROUTE])));
}

/**
 * Makes the file where there is none, and adds what it lacks: a role that a later version has. What is there stays, since
 * processes on other machines have copies. @throws RookeryError CONFIGURATION_INVALID
 */
function credentialsIn<Name extends string>(file: string, names: readonly Name[]): Credentials<Name> {
  ensureSecretFile(file, () => credentialsText(newCredentials(names)));
  try {
    const credentials = JSON.parse(readFileSync(file, 'utf8')) as Credentials<Name>;
    const missing = names.filter((name) => !credentials[name]?.password);
    if (missing.length === 0) return credentials;
    const whole = { ...credentials, ...newCredentials(missing) };
    writeSecretFile(file, credentialsText(whole));
    return whole;
  } catch (cause) {
    throw new RookeryError('CONFIGURATION_INVALID', `${file}: ${(cause as Error).message}`, { cause });
  }
}

const credentialsText = (credentials: object): string => `${JSON.stringify(credentials, null, 2)}\n`;

function newCredentials<Name extends string>(names: readonly Name[]): Credentials<Name> {
  const entry = (name: Name) => [name, { user: name, password: randomBytes(PASSWORD_BYTES).toString('base64url') }];
  return Object.fromEntries(names.map(entry)) as Credentials<Name>;
}

function embeddedText({ dataDir, port, profile, topology }: EmbeddedNats, credentials: Credentials): string {
  return `# Written at each start of \`rookery dev\`; config/README.md says what is behind it.
server_name: rookery
listen: "127.0.0.1:${port}"
pid_file: ${JSON.stringify(join(dataDir, 'nats-server.pid'))}
${storageText(join(dataDir, 'nats'), profile)}
${usersText(topology, credentials)}
`;
}

function memberText(member: ClusterMember, credentials: Credentials<NatsRole | typeof ROUTE>): string {
  const { serverName, clusterName, clientAddress, routeAddress, advertisedRoute, routes } = member;
  const { user, password } = credentials[ROUTE];
  const routeUrls = routes.map((address) => `nats-route://${user}:${password}@${address}`);
  return `# Written by \`rookery cluster write\`; config/cluster/README.md says what is behind it.
server_name: ${JSON.stringify(serverName)}
listen: ${JSON.stringify(clientAddress)}
cluster {
  name: ${JSON.stringify(clusterName)}
  listen: ${JSON.stringify(routeAddress)}
  authorization: ${JSON.stringify({ user, password })}
  routes: ${JSON.stringify(routeUrls)}
  # Gateways and workers know the members from their own configuration, and nobody else.
  no_advertise: true${advertisedRoute ? `\n  advertise: ${JSON.stringify(advertisedRoute)}` : ''}
  ping_interval: "${ROUTE_PING_INTERVAL}"
  ping_max: ${ROUTE_PING_MAX}
}
${storageText(member.storeDir, member.profile)}
${usersText(member.topology, credentials)}
`;
}

const storageText = (storeDir: string, profile: DurabilityProfile | ClusterProfile): string => `\
max_payload: ${MAX_PAYLOAD_BYTES}
max_pending: ${MAX_PENDING_BYTES}
jetstream {
  store_dir: ${JSON.stringify(storeDir)}
  sync_interval: ${profile === 'default' ? '"1s"' : 'always'}
}`;

function usersText(topology: Topology, credentials: Credentials): string {
  const users = natsRoles.map((role) => ({ ...credentials[role], permissions: permissionsOf(role, topology) }));
  return `authorization {
  users: ${JSON.stringify(users, null, 2)}
}`;
}
