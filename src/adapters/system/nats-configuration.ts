/**
 * The configuration of an embedded nats-server: one node, loopback, file storage, one NATS user a role with the rights of
 * nats-permissions.ts. Credentials are made at first start and kept beside the data, readable by the owner alone.
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

/** Above the largest run (256 KiB) and pack with room for headers; bodies are at most 64 KiB by default. */
const MAX_PAYLOAD_BYTES = 1_048_576;
/** What a client may leave unread before it is cut: the tails of a busy gateway need more than the server's 64 MiB. */
const MAX_PENDING_BYTES = 268_435_456;
/** In the file that clients read: without these there is no way in. */
const PASSWORD_BYTES = 24;

type Credentials = Record<NatsRole, { readonly user: string; readonly password: string }>;

export interface EmbeddedNats {
  readonly dataDir: string;
  readonly port: number;
  readonly profile: DurabilityProfile;
  readonly topology: Topology;
}

/** Writes the configuration for this start, and the credentials unless they exist. */
export function prepareNats(nats: EmbeddedNats): { readonly configFile: string; readonly credentialsFile: string } {
  const credentialsFile = join(nats.dataDir, 'nats-credentials.json');
  const configFile = join(nats.dataDir, 'nats-server.conf');
  ensureSecretFile(credentialsFile, () => `${JSON.stringify(newCredentials(), null, 2)}\n`);
  writeSecretFile(configFile, configurationText(nats, credentialsIn(credentialsFile)));
  return { configFile, credentialsFile };
}

function newCredentials(): Credentials {
  const entry = (role: NatsRole) => [role, { user: role, password: randomBytes(PASSWORD_BYTES).toString('base64url') }];
  return Object.fromEntries(natsRoles.map(entry)) as Credentials;
}

function credentialsIn(file: string): Credentials {
  try {
    const credentials = JSON.parse(readFileSync(file, 'utf8')) as Credentials;
    for (const role of natsRoles) if (!credentials[role]?.password) throw new Error(`no password for ${role}`);
    return credentials;
  } catch (cause) {
    throw new RookeryError('CONFIGURATION_INVALID', `${file}: ${(cause as Error).message}`, { cause });
  }
}

function configurationText({ dataDir, port, profile, topology }: EmbeddedNats, credentials: Credentials): string {
  const users = natsRoles.map((role) => ({ ...credentials[role], permissions: permissionsOf(role, topology) }));
  return `# Written at each start of \`rookery dev\`; config/README.md says what is behind it.
server_name: rookery
listen: "127.0.0.1:${port}"
pid_file: ${JSON.stringify(join(dataDir, 'nats-server.pid'))}
max_payload: ${MAX_PAYLOAD_BYTES}
max_pending: ${MAX_PENDING_BYTES}
jetstream {
  store_dir: ${JSON.stringify(join(dataDir, 'nats'))}
  sync_interval: ${profile === 'sync' ? 'always' : '"1s"'}
}
authorization {
  users: ${JSON.stringify(users, null, 2)}
}
`;
}
