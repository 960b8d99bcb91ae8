import { type Static, Type } from 'typebox';
import { strict, topologyFields } from './shared.ts';

const address = { pattern: '^\\S+:\\d+$' };

/** A cluster of nats-servers, as `rookery cluster write` is told of it: config/cluster/cluster.json. */
export const clusterSchema = Type.Object(
  {
    name: Type.String({ default: 'rookery', pattern: '^[A-Za-z0-9_-]+$', description: 'name of the cluster' }),
    profile: Type.Union([Type.Literal('cluster'), Type.Literal('default')], {
      default: 'cluster',
      description: 'cluster: fsync on a quorum before each ack; default: fsync each second',
    }),
    topology: topologyFields,
    storeDir: Type.String({
      default: '/var/lib/rookery/nats',
      description: "folder of a member's log, on its machine",
    }),
    members: Type.Array(
      Type.Object(
        {
          name: Type.String({ pattern: '^[A-Za-z0-9_-]+$', description: 'its server_name, the same for life' }),
          clientAddress: Type.String({ ...address, description: 'host:port for gateways, workers and operators' }),
          routeAddress: Type.String({ ...address, description: 'host:port for the other members' }),
          storeDir: Type.Optional(Type.String({ description: 'where its log lies elsewhere than the others' })),
        },
        strict,
      ),
      { minItems: 3, description: 'nats-servers; an odd number, as replicas are' },
    ),
  },
  strict,
);

export type ClusterConfig = Static<typeof clusterSchema>;
