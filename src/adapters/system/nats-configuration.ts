/**
 * The configuration of an embedded nats-server: one node, loopback, file storage, one NATS user a role with the rights it
 * needs and no more. Credentials are made at first start and kept beside the data, readable by the owner alone.
 */
import { randomBytes } from 'node:crypto';
import { closeSync, existsSync, fsyncSync, mkdirSync, openSync, readFileSync, renameSync, writeSync } from 'node:fs';
import { join } from 'node:path';

/** `default` survives the death of every process (a fsync each second); `sync` survives power loss (a fsync each append). */
export type DurabilityProfile = 'default' | 'sync';

const ROLES = ['gateway', 'fan-out-worker', 'operator'] as const;
type Role = (typeof ROLES)[number];
type Credentials = Record<Role, { readonly user: string; readonly password: string }>;

/** Above the largest run (256 KiB) and pack with room for headers; bodies are at most 64 KiB by default. */
const MAX_PAYLOAD_BYTES = 1_048_576;
/** What a client may leave unread before it is cut: the tails of a busy gateway need more than the default. */
const MAX_PENDING_BYTES = 268_435_456;

export interface EmbeddedNats {
  readonly configFile: string;
  readonly credentialsFile: string;
}

/** Writes the configuration for this start, and the credentials unless they exist. */
export function prepareNats(dataDir: string, port: number, profile: DurabilityProfile): EmbeddedNats {
  mkdirSync(dataDir, { recursive: true });
  const credentialsFile = join(dataDir, 'nats-credentials.json');
  const configFile = join(dataDir, 'nats-server.conf');
  if (!existsSync(credentialsFile)) writeWhole(credentialsFile, JSON.stringify(newCredentials(), null, 2));
  const credentials = JSON.parse(readFileSync(credentialsFile, 'utf8')) as Credentials;
  writeWhole(configFile, configurationText(dataDir, port, profile, credentials));
  return { configFile, credentialsFile };
}

function newCredentials(): Credentials {
  const entries = ROLES.map((role) => [role, { user: role, password: randomBytes(24).toString('base64url') }]);
  return Object.fromEntries(entries) as Credentials;
}

function configurationText(
  dataDir: string,
  port: number,
  profile: DurabilityProfile,
  credentials: Credentials,
): string {
  const users = ROLES.map((role) => ({ ...credentials[role], permissions: PERMISSIONS[role] }));
  return `# Written at each start; change config/ or the command line instead.
listen: "127.0.0.1:${port}"
max_payload: ${MAX_PAYLOAD_BYTES}
max_pending: ${MAX_PENDING_BYTES}
ports_file_dir: ${JSON.stringify(dataDir)}
jetstream {
  store_dir: ${JSON.stringify(join(dataDir, 'nats'))}
  sync_interval: ${profile === 'sync' ? 'always' : '"1s"'}
}
authorization { users: ${JSON.stringify(users, null, 2)} }
`;
}

/** A file is there whole, on the disk, or not at all; it holds secrets, so only its owner reads it. */
function writeWhole(path: string, text: string): void {
  const temporary = `${path}.${process.pid}`;
  const fd = openSync(temporary, 'w', 0o600);
  writeSync(fd, text);
  fsyncSync(fd);
  closeSync(fd);
  renameSync(temporary, path);
}

interface Permissions {
  readonly publish: readonly string[];
  readonly subscribe: readonly string[];
}

const STREAM_INFO = (stream: string): string => `$JS.API.STREAM.INFO.${stream}`;

/** What an ordered consumer needs: to be made, pulled, asked after and deleted. */
const ordered = (stream: string): string[] => [
  STREAM_INFO(stream),
  `$JS.API.CONSUMER.CREATE.${stream}.>`,
  `$JS.API.CONSUMER.MSG.NEXT.${stream}.*`,
  `$JS.API.CONSUMER.INFO.${stream}.*`,
  `$JS.API.CONSUMER.DELETE.${stream}.*`,
];
const directGet = (stream: string): string[] => [`$JS.API.DIRECT.GET.${stream}`, `$JS.API.DIRECT.GET.${stream}.>`];
const bucket = (name: string): string[] => [
  STREAM_INFO(`KV_${name}`),
  `$JS.API.STREAM.MSG.GET.KV_${name}`,
  ...directGet(`KV_${name}`),
  `$KV.${name}.>`,
];

/**
 * A stream's name is one token, so `*` in its place covers all streams: the finer line (this role reads INBOX, not DEAD) is
 * drawn on the subjects they may write, and by what they may do to a stream at all.
 */
const PERMISSIONS: Record<Role, Permissions> = {
  gateway: {
    publish: [
      ...['conv.>', 'user.>', 'view.*', 'tailed.*', 'session.>'],
      ...[...ordered('*'), '$JS.API.STREAM.MSG.GET.*', ...directGet('*')],
      ...bucket('cursors'),
    ],
    subscribe: ['_INBOX_gateway.>', 'notice.*', 'session.>'],
  },
  'fan-out-worker': {
    publish: [
      ...['inbox.>', 'pack.>', 'term.>', 'cp.>', 'dead.>', 'notice.*', '_INBOX_gateway.>'],
      ...[
        ...ordered('*'),
        '$JS.API.STREAM.MSG.GET.*',
        ...directGet('*'),
        '$JS.API.CONSUMER.RESET.*.fan-out',
        '$JS.ACK.>',
      ],
      ...bucket('leases'),
    ],
    subscribe: ['_INBOX_fan-out-worker.>', 'view.*', 'tailed.*'],
  },
  operator: { publish: ['>'], subscribe: ['>'] },
};
