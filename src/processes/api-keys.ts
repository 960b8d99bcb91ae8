/** The API keys of a gateway: those of the configuration, which may do everything, and those of the folder, as it changes. */
import { Counter, type Registry } from 'prom-client';
import type { Access } from '../adapters/http/authorization.ts';
import { KeyRing } from '../adapters/http/key-ring.ts';
import { ApiKeyFolder, hashOfApiKey } from '../adapters/system/api-key-files.ts';
import type { ApiKey } from '../ports/api-keys.ts';
import type { Clock } from '../ports/clock.ts';
import type { Log } from '../ports/log.ts';
import type { GatewayConfig } from './configuration/gateway.ts';

export interface ApiKeys {
  readonly ring: KeyRing;
  /** Counts what backends ask for, and tells what they change of accounts, by the names of their keys. */
  reporter(registry: Registry): Access['onAnswered'];
  stop(): void;
}

/** @throws RookeryError CONFIGURATION_INVALID */
export function openApiKeys({ apiKeys, apiKeyDir }: GatewayConfig['auth'], clock: Clock, log: Log): ApiKeys {
  const ring = new KeyRing({ clock, monotonicMs: () => performance.now() });
  const configured = apiKeys.map((key, i): ApiKey => {
    return { name: `configured.${i + 1}`, hash: hashOfApiKey(key), scopes: ['all'], expiresAt: 0 };
  });
  ring.replace(configured);
  const folder =
    apiKeyDir === '' ? undefined : new ApiKeyFolder(apiKeyDir, log, (keys) => ring.replace([...configured, ...keys]));
  return { ring, reporter: (registry) => reporterOf(registry, log), stop: () => folder?.stop() };
}

function reporterOf(registry: Registry, log: Log): Access['onAnswered'] {
  const answered = new Counter({
    name: 'rookery_backend_requests_total',
    help: 'requests with an API key, by its name and the status of the answer',
    labelNames: ['key', 'status'],
    registers: [registry],
  });
  return ({ key, method, route, status }) => {
    answered.inc({ key, status });
    const isAdministration = method !== 'GET' && route.startsWith('/v1/accounts');
    if (isAdministration) log.info({ what: 'administration', key, method, route, status });
  };
}
