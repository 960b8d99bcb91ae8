/** A gateway's way to read models, with the bounds that are in force without a configuration. */

import { JetstreamReadModels, type OnAsked } from '../../src/adapters/jetstream/between-processes/read-models.ts';
import type { Nats } from '../../src/adapters/jetstream/connect.ts';
import { type GatewayLimits, gatewaySchema } from '../../src/processes/configuration/gateway.ts';
import { loadConfiguration } from '../../src/processes/configuration/load.ts';

export const defaultLimits: GatewayLimits = loadConfiguration(gatewaySchema, { environment: {}, flags: {} }).config
  .limits;

export const readModelsOf = (
  { nc, inboxPrefix }: Nats,
  limits: Partial<GatewayLimits> = {},
  onAsked: OnAsked = () => undefined,
): JetstreamReadModels =>
  new JetstreamReadModels({ nc, inboxPrefix, limits: { ...defaultLimits, ...limits }, onAsked });
