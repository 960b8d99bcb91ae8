/** Ids for tests, past the parsers: what a test writes down is right by inspection. */
import type { ClientMsgId, ConversationId, DeviceId, UserId } from '../../src/domain/ids.ts';

export const user = (name: string): UserId => name as UserId;
export const users = (...names: string[]): UserId[] => names.map(user);
export const device = (name: string): DeviceId => name as DeviceId;
export const conversation = (name: string): ConversationId => name as ConversationId;
export const msgId = (name: string): ClientMsgId => name as ClientMsgId;
export const bytes = (text: string): Uint8Array => new TextEncoder().encode(text);
