import { Type } from 'typebox';
import { natsFields, topologyFields } from './shared.ts';

/** Folders of the workers on this machine. */
const stateDirsFields = Type.Object(
  {
    readModel: Type.String({ default: 'data/read-model', description: '`stateDir` of a read-model worker' }),
    fanOut: Type.String({ default: 'data/fan-out', description: '`stateDir` of a fan-out worker' }),
  },
  { default: {} },
);

/** What the operator's commands need to know. They take the file of any process, so they look past its other fields. */
export const operatorSchema = Type.Object({ nats: natsFields, topology: topologyFields, stateDirs: stateDirsFields });

/** Of a worker's file its own folder counts. */
export const readModelFilesSchema = Type.Object({
  ...operatorSchema.properties,
  stateDir: Type.Optional(Type.String({ description: '`stateDir` of a read-model worker; before `stateDirs`' })),
});
