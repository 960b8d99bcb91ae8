import { Type } from 'typebox';
import { natsFields, topologyFields } from './shared.ts';

/** What the operator's commands need to know. */
export const operatorSchema = Type.Object({ nats: natsFields, topology: topologyFields });
