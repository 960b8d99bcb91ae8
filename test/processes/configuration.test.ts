import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import t, { type Test } from 'tap';
import type { TObject } from 'typebox';
import { devSchema } from '../../src/processes/configuration/dev.ts';
import { fanOutWorkerSchema } from '../../src/processes/configuration/fan-out-worker.ts';
import { gatewaySchema } from '../../src/processes/configuration/gateway.ts';
import { type FieldSchema, flagsOf, loadConfiguration, variablesOf } from '../../src/processes/configuration/load.ts';
import { operatorSchema } from '../../src/processes/configuration/operator.ts';

const schemas: Record<string, TObject> = { gateway: gatewaySchema, worker: fanOutWorkerSchema, dev: devSchema };

function fileWith(t: Test, text: string): string {
  const dir = mkdtempSync(join(tmpdir(), 'rookery-config-'));
  t.teardown(() => rmSync(dir, { recursive: true }));
  const file = join(dir, 'config.json');
  writeFileSync(file, text);
  return file;
}

t.test('later sources win: default, file, environment, flags', async (t) => {
  const file = fileWith(t, JSON.stringify({ port: 1001, host: 'file', limits: { maxInFlight: 1, maxSessions: 1 } }));
  const environment = { ROOKERY_PORT: '1002', ROOKERY_LIMITS__MAX_SESSIONS: '2' };
  const { config, origins } = loadConfiguration(gatewaySchema, { file, environment, flags: { port: 1003 } });
  t.match(config, { port: 1003, host: 'file', logLevel: 'info', limits: { maxInFlight: 1, maxSessions: 2 } });
  const from = Object.fromEntries(origins.map((origin) => [origin.field, origin.from]));
  t.match(from, {
    port: 'flag',
    host: 'file',
    'limits.maxInFlight': 'file',
    'limits.maxSessions': 'environment',
    logLevel: 'default',
  });
});

t.test('text becomes what the field is', async (t) => {
  const environment = {
    ROOKERY_NATS__SERVERS: 'nats://a:1,nats://b:2',
    ROOKERY_AUTH__ISSUER: '123',
    ROOKERY_AUTH__DEV_TOKENS: 'true',
    ROOKERY_AUTH__API_KEYS: '["an-api-key-of-at-least-32-characters"]',
    ROOKERY_HOST: '"::1"',
  };
  t.match(loadConfiguration(gatewaySchema, { environment }).config, {
    nats: { servers: ['nats://a:1', 'nats://b:2'] },
    auth: { issuer: '123', devTokens: true, apiKeys: ['an-api-key-of-at-least-32-characters'] },
    host: '::1',
  });
  const flags = flagsOf(['port=1', 'port=2', 'auth.issuer=a=b', 'limits={"maxSessions":7}']);
  t.match(loadConfiguration(gatewaySchema, { environment: {}, flags }).config, {
    port: 2,
    auth: { issuer: 'a=b' },
    limits: { maxSessions: 7, maxInFlight: 512 },
  });
});

t.test('what is wrong is named, all of it at once', async (t) => {
  const wrong: [object, RegExp][] = [
    [{ port: 'http' }, /^port: must be integer$/],
    [{ port: 70_000, host: 5 }, /port: .*; host: |host: .*; port: /],
    [{ limits: { maxSesions: 5 } }, /^limits\.maxSesions: there is no such field$/],
    [{ prot: 1 }, /^prot: there is no such field$/],
    [{ auth: { mode: 'none' } }, /^auth\.mode: must be secret or jwks$/],
    [{ auth: { apiKeys: ['short'] } }, /^auth\.apiKeys\.0: /],
    [{ topology: { convStreams: 0 } }, /^topology\.convStreams: /],
  ];
  for (const [tree, message] of wrong) {
    const file = fileWith(t, JSON.stringify(tree));
    t.throws(() => loadConfiguration(gatewaySchema, { file, environment: {} }), {
      code: 'CONFIGURATION_INVALID',
      message,
    });
  }
  for (const text of ['{', '[]', '"x"']) {
    const file = fileWith(t, text);
    t.throws(() => loadConfiguration(gatewaySchema, { file, environment: {} }), {
      code: 'CONFIGURATION_INVALID',
      message: /config\.json/,
    });
  }
  t.throws(() => loadConfiguration(gatewaySchema, { file: '/nowhere.json' }), { code: 'CONFIGURATION_INVALID' });
  t.throws(() => flagsOf(['port']), { code: 'CONFIGURATION_INVALID', message: /field=value/ });
  const flags = flagsOf(['no.such=1']);
  t.throws(() => loadConfiguration(gatewaySchema, { environment: {}, flags }), {
    message: 'no: there is no such field',
  });
});

t.test('one load does not change the defaults of the next', async (t) => {
  loadConfiguration(gatewaySchema, { environment: { ROOKERY_NATS__SERVERS: 'nats://elsewhere' } }).config;
  loadConfiguration(gatewaySchema, { environment: {}, flags: { limits: { maxSessions: 1 } } });
  t.match(loadConfiguration(gatewaySchema, { environment: {} }).config, {
    nats: { servers: ['nats://127.0.0.1:7722'] },
    limits: { maxSessions: 50_000 },
  });
});

t.test('the operator’s commands take the file of any process', async (t) => {
  const file = fileWith(t, JSON.stringify({ port: 1, topology: { convStreams: 3 } }));
  t.match(loadConfiguration(operatorSchema, { file, environment: {} }).config, {
    topology: { convStreams: 3, inboxStreams: 1 },
  });
});

t.test('every field has a description and a default, and refuses what it does not know', async (t) => {
  const complaints: string[] = [];
  const look = (schema: FieldSchema & { additionalProperties?: boolean }, path: string): void => {
    if (schema.properties) {
      if (schema.additionalProperties !== false) complaints.push(`${path}: takes anything`);
      for (const [key, field] of Object.entries(schema.properties)) look(field, `${path}.${key}`);
      return;
    }
    if (!schema.description) complaints.push(`${path}: no description`);
    // A failpoint is set by tests alone.
    if (schema.default === undefined && !path.includes('.failpoint.')) complaints.push(`${path}: no default`);
  };
  for (const [name, schema] of Object.entries(schemas)) look(schema as FieldSchema, name);
  t.same(complaints, []);
  t.ok(variablesOf([gatewaySchema]).includes('ROOKERY_LIMITS__MAX_BODY_BYTES'));
});
