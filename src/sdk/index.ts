/** The client SDK: `createClient`, storages, and the types an app meets. */
export type { MessageContent, Role } from '../domain/conversation.ts';
export { type ConversationId, directConversationId, directPair, type UserId } from '../domain/ids.ts';
export { type ErrorCode, RookeryError } from '../protocol/error-codes.ts';
export type { ConversationView, Cursor, Entry, ResyncReason } from '../protocol/frames.ts';
export { Client, type ClientEvents, type ClientOptions, createClient, type Sending } from './client.ts';
export { IndexedDbStorage } from './indexed-db-storage.ts';
export type { Status } from './machine.ts';
export { MemoryStorage, type Storage } from './storage.ts';
