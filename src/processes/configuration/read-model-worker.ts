import { type Static, Type } from 'typebox';
import { logLevelField, natsFields, strict, topologyFields } from './shared.ts';

export const readModelWorkerSchema = Type.Object(
  {
    nats: natsFields,
    topology: topologyFields,
    logLevel: logLevelField,
    stateDir: Type.String({
      default: 'data/read-model',
      description: "folder of this worker's read models, one file per CONV stream; no two workers share one",
    }),
    failpoint: Type.Optional(
      Type.Object(
        {
          step: Type.String({ description: 'step of application/read-model/read-model-lane.ts' }),
          times: Type.Integer({ minimum: 1, description: 'die when it is reached for this time' }),
        },
        { ...strict, description: 'for tests only: die as by kill -9 at a named step' },
      ),
    ),
  },
  strict,
);

export type ReadModelWorkerConfig = Static<typeof readModelWorkerSchema>;
