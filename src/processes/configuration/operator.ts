import { existsSync } from 'node:fs';
import { resolve } from 'node:path';
import { type TObject, Type } from 'typebox';
import { asRookeryError, RookeryError } from '../../protocol/error-codes.ts';
import { devSchema } from './dev.ts';
import { fanOutWorkerSchema } from './fan-out-worker.ts';
import { authSchema, gatewaySchema } from './gateway.ts';
import { type Loaded, loadConfiguration, type Sources } from './load.ts';
import { readModelWorkerSchema } from './read-model-worker.ts';
import { natsFields, strict, topologyFields } from './shared.ts';

/** Folders of the workers on this machine. */
const stateDirsFields = Type.Object(
  {
    readModel: Type.String({ default: 'data/read-model', description: '`stateDir` of a read-model worker' }),
    fanOut: Type.String({ default: 'data/fan-out', description: '`stateDir` of a fan-out worker' }),
  },
  { ...strict, default: {} },
);

/** What the operator's commands need to know. They take the file of any process, so they look past its other fields. */
export const operatorSchema = Type.Object({ nats: natsFields, topology: topologyFields, stateDirs: stateDirsFields });

/** Of a worker's file its own folder counts. */
export const readModelFilesSchema = Type.Object({
  ...operatorSchema.properties,
  stateDir: Type.Optional(Type.String({ description: '`stateDir` of a read-model worker; before `stateDirs`' })),
});

/** A field that one of these has is known in a file of another. */
const KNOWN: ReadonlySet<string> = new Set(
  [
    operatorSchema,
    readModelFilesSchema,
    authSchema,
    gatewaySchema,
    fanOutWorkerSchema,
    readModelWorkerSchema,
    devSchema,
  ].flatMap(({ properties }) => Object.keys(properties)),
);

/**
 * What a command needs of the file of any process. A field that no process knows is a mistake in writing: looked past, the
 * command would work on what stands in the defaults.
 * @throws RookeryError CONFIGURATION_INVALID
 */
export function loadFromAnyProcess<Schema extends TObject>(schema: Schema, sources: Sources): Loaded<Schema> {
  const loaded = loadConfiguration(schema, sources);
  const { file } = sources;
  const unknown = Object.keys(loaded.config as object).filter((field) => !KNOWN.has(field));
  if (file === undefined || unknown.length === 0) return loaded;
  const problems = unknown.map((field) => `${field}: no process has such a field`);
  throw new RookeryError('CONFIGURATION_INVALID', `${file}: ${problems.join('; ')}`);
}

/** As `rookery dev` leaves it where it is started. */
const LOCAL_FILE = 'data/operator.json';

/**
 * Whether the deployment at these servers is that of the current folder, whose own file says that a read-model worker has `stateDir`: then
 * nobody needs to name it.
 */
export function isLocalReadModel(servers: readonly string[], stateDir: string): boolean {
  if (!existsSync(LOCAL_FILE)) return false;
  try {
    const { config, origins } = loadConfiguration(operatorSchema, { file: LOCAL_FILE, environment: {} });
    const isSaid = origins.some(({ field, from }) => field === 'stateDirs.readModel' && from === 'file');
    const isSame = config.nats.servers.some((server) => servers.includes(server));
    return isSaid && isSame && resolve(config.stateDirs.readModel) === resolve(stateDir);
  } catch (thrown) {
    // Who has not named it is not held up by what is wrong in it.
    if (asRookeryError(thrown).code !== 'CONFIGURATION_INVALID') throw thrown;
    return false;
  }
}

/**
 * The same, of a file that says where the deployment is: who names a file means that one, and not the local one.
 * @throws RookeryError CONFIGURATION_INVALID
 */
export function loadDeployment<Schema extends typeof operatorSchema | typeof readModelFilesSchema>(
  schema: Schema,
  sources: Sources,
): Loaded<Schema> {
  const loaded = loadFromAnyProcess(schema, sources);
  const { file } = sources;
  const isSaid = loaded.origins.some(({ field, from }) => field.startsWith('nats.') && from !== 'default');
  if (file === undefined || isSaid) return loaded;
  throw new RookeryError('CONFIGURATION_INVALID', `${file}: nats: it is not there, so where the deployment is`);
}
