import { type Static, Type } from 'typebox';
import { logLevelField, natsFields, strict, topologyFields } from './shared.ts';

export const fanOutWorkerSchema = Type.Object(
  {
    nats: natsFields,
    topology: topologyFields,
    logLevel: logLevelField,
    stateDir: Type.String({
      default: 'data/fan-out',
      description: "folder of this worker's state files; no two workers share one",
    }),
    failpoint: Type.Optional(
      Type.Object(
        {
          step: Type.String({ description: 'step of application/fan-out/lane.ts' }),
          times: Type.Integer({ minimum: 1, description: 'die when it is reached for this time' }),
          stallMs: Type.Optional(Type.Integer({ minimum: 1, description: 'stand still for so long, and do not die' })),
        },
        { ...strict, description: 'for tests only: die as by kill -9 at a named step, or stand still there' },
      ),
    ),
  },
  strict,
);

export type FanOutWorkerConfig = Static<typeof fanOutWorkerSchema>;
