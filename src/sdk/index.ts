/** The client SDK: `createClient`, storages, and the types an app meets. */
export type { ProfileChanges, QuietHours, UserSettings } from '../domain/account.ts';
export type { GroupSettings, MessageContent, Preferences, Role } from '../domain/conversation.ts';
export type { DeviceKind } from '../domain/devices.ts';
export {
  type ClientMsgId,
  type ConversationId,
  directConversationId,
  directPair,
  parseConversationId,
  parseUserId,
  type UserId,
} from '../domain/ids.ts';
export type { ContactPage, ListedContact, OwnAccount, PublicProfile } from '../protocol/account-frames.ts';
export { type AfterClose, afterClose, type CloseReason, closeCodes } from '../protocol/close-codes.ts';
export { type ErrorCode, RookeryError } from '../protocol/error-codes.ts';
export type {
  ChangedConversation,
  ChangesPage,
  ConversationPage,
  ConversationView,
  Cursor,
  Entry,
  HistoryEntry,
  HistoryPage,
  ListedConversation,
  ListedDevice,
  MemberPage,
  Receipts,
  ResyncReason,
  SearchHit,
  SearchPage,
  SeenUser,
  VersionPage,
} from '../protocol/frames.ts';
export {
  Client,
  type ClientEvents,
  type ClientOptions,
  createClient,
  type Durable,
  type HistoryPlace,
  type ListPart,
  type SearchPlace,
  type Sending,
  type Target,
} from './client.ts';
export { ClientError, type ClientErrorCode, clientErrorCodes } from './client-error.ts';
export { IndexedDbStorage } from './indexed-db-storage.ts';
export type { Behind, Gap, Status } from './inputs-and-effects.ts';
export { changePassword, type LoggedIn, login } from './login.ts';
export { type Mark, MemoryStorage, type Storage, type StoredCursor, type StoredState } from './storage.ts';
export type { PendingSync, Synced } from './sync.ts';
export { uuidv7 } from './uuidv7.ts';
