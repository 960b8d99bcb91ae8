import { type Static, Type } from 'typebox';
import { strict, topologyFields } from './shared.ts';

/** What `rookery dev` decides for the processes it starts; all else they read from the environment by themselves. */
export const devSchema = Type.Object(
  {
    dataDir: Type.String({ default: 'data', description: 'folder of the log, the credentials, state files and logs' }),
    host: Type.String({ default: '127.0.0.1', description: 'address the gateway listens at' }),
    port: Type.Integer({ default: 7700, minimum: 1, maximum: 65_535, description: 'port of the gateway' }),
    natsPort: Type.Integer({
      default: 7722,
      minimum: 1,
      maximum: 65_535,
      description: 'port of nats-server, on loopback',
    }),
    profile: Type.Union([Type.Literal('default'), Type.Literal('sync')], {
      default: 'default',
      description: 'default: fsync each second, survives the death of every process; sync: fsync before each ack',
    }),
    topology: topologyFields,
  },
  strict,
);

export type DevConfig = Static<typeof devSchema>;
