/** Fields that several processes have. Each has a description with its unit, and a default. */
import { Type } from 'typebox';

/** A field that is not there is a mistake in writing, never ignored. */
export const strict = { additionalProperties: false };

export const natsFields = Type.Object(
  {
    servers: Type.Array(Type.String(), {
      default: ['nats://127.0.0.1:7722'],
      description: 'NATS servers; more than one for a cluster',
    }),
    credentialsFile: Type.String({
      default: 'data/nats-credentials.json',
      description: 'JSON file with a NATS user and password per role',
    }),
  },
  { ...strict, default: {} },
);

export const topologyFields = Type.Object(
  {
    convStreams: Type.Integer({
      default: 1,
      minimum: 1,
      maximum: 256,
      description: 'CONV streams that share the conversations',
    }),
    inboxStreams: Type.Integer({
      default: 1,
      minimum: 1,
      maximum: 256,
      description: 'INBOX streams that share the users',
    }),
  },
  { ...strict, default: {} },
);

export const logLevelField = Type.Union(
  [Type.Literal('debug'), Type.Literal('info'), Type.Literal('warn'), Type.Literal('error'), Type.Literal('silent')],
  { default: 'info', description: 'least level of log lines that are written' },
);
