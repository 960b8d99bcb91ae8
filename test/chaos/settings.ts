/** What the workload and the checker are told: a JSON file each, so that they are processes of their own. */
import { readFileSync } from 'node:fs';
import { type Static, type TObject, Type } from 'typebox';
import { Value } from 'typebox/value';

const strict = { additionalProperties: false };

export const workloadSettings = Type.Object(
  {
    seed: Type.Integer({ description: 'everything that is left to chance follows from it' }),
    seconds: Type.Number({ description: 'how long it sends; SIGTERM ends that at once' }),
    gateways: Type.Array(Type.String(), { minItems: 1, description: 'WebSocket addresses' }),
    http: Type.Array(Type.String(), { description: 'base addresses for POST /v1/messages; empty: none' }),
    secretFile: Type.String({ description: 'HS256 secret of the tokens' }),
    apiKey: Type.String(),
    historyFile: Type.String({ description: 'where each invocation and each result is written, a JSON line each' }),
    users: Type.Integer({ default: 12, minimum: 4 }),
    groups: Type.Integer({ default: 4, minimum: 1 }),
    settleSeconds: Type.Number({ default: 90, description: 'how long devices may take to catch up at the end' }),
  },
  strict,
);
export type WorkloadSettings = Static<typeof workloadSettings>;

export const checkerSettings = Type.Object(
  {
    historyFile: Type.String(),
    nats: Type.Object({ servers: Type.Array(Type.String()), credentialsFile: Type.String() }, strict),
    topology: Type.Object({ convStreams: Type.Integer(), inboxStreams: Type.Integer() }, strict),
  },
  strict,
);
export type CheckerSettings = Static<typeof checkerSettings>;

/** @throws Error that names the field */
export function readSettings<Schema extends TObject>(schema: Schema, file: string | undefined): Static<Schema> {
  if (!file) throw new Error('usage: node <program>.ts <settings.json>');
  const given: unknown = Value.Default(schema, JSON.parse(readFileSync(file, 'utf8')));
  const [problem] = Value.Errors(schema, given);
  if (problem) throw new Error(`${file}: ${problem.instancePath || 'the whole'} ${problem.message}`);
  return given as Static<Schema>;
}
