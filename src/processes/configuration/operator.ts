import { Type } from 'typebox';
import { natsFields, topologyFields } from './shared.ts';

/** What the operator's commands need to know. They take the file of any process, so they look past its other fields. */
export const operatorSchema = Type.Object({ nats: natsFields, topology: topologyFields });
