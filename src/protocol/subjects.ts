/**
 * The names on NATS: subjects, streams and what they are derived from. Nobody else builds a subject.
 *
 * `<p>` is one of 256 fixed virtual partitions; a stream takes a contiguous range of them. A deployment grows by giving
 * ranges to more streams, never by renaming a subject.
 */
import type { ClientMsgId, ConversationId, UserId } from '../domain/ids.ts';

export const PARTITIONS = 256;

/** An id may begin with a byte order mark: it stays part of it. */
const utf8Decoder = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });
const PLAIN_TOKEN = /^[A-Za-z0-9_-]{1,64}$/;

/**
 * An id as one subject token, injective: a plain one stands as it is, any other is `~` + base64url of its UTF-8. So no dot,
 * wildcard, space or line break of an id ever reaches a subject or a header.
 */
export function tokenOf(id: string): string {
  return PLAIN_TOKEN.test(id) ? id : `~${Buffer.from(id).toString('base64url')}`;
}

/** The id behind a token. @throws when the token is none of ours */
export function idOfToken(token: string): string {
  if (!token.startsWith('~')) return token;
  const text = token.slice(1);
  const bytes = Buffer.from(text, 'base64url');
  // A Buffer passes over what is no base64.
  if (bytes.toString('base64url') !== text) throw new Error('no token of an id');
  return utf8Decoder.decode(bytes);
}

/** FNV-1a over the token's characters, folded to a byte. Fixed for ever: stored subjects carry it. */
export function partitionOfToken(token: string): number {
  let hash = 0x811c9dc5;
  for (let i = 0; i < token.length; i++) hash = Math.imul(hash ^ token.charCodeAt(i), 0x01000193);
  hash ^= hash >>> 16;
  return (hash ^ (hash >>> 8)) & 0xff;
}

/** Which part of a deployment's streams holds a partition: `count` streams share the 256 in equal ranges. */
export const rangeOfPartition = (partition: number, count: number): number =>
  Math.floor((partition * count) / PARTITIONS);

/** First and last partition of range `k` of `count`. */
export function partitionsOfRange(k: number, count: number): readonly [number, number] {
  return [Math.ceil((k * PARTITIONS) / count), Math.ceil(((k + 1) * PARTITIONS) / count) - 1];
}

/** How many streams share the conversations and the inboxes. From the process configuration, the same everywhere. */
export interface Topology {
  readonly convStreams: number;
  readonly inboxStreams: number;
}

export const convStreamName = (k: number): string => `CONV_${k}`;
export const inboxStreamName = (k: number): string => `INBOX_${k}`;
export const USER_STREAM = 'USER';
export const DEAD_STREAM = 'DEAD';

/** `m` messages, `s` state events, `r` read marks. */
export type ConversationLane = 'm' | 's' | 'r';

export function conversationSubject(conversation: ConversationId, part: ConversationLane): string {
  const token = tokenOf(conversation);
  return `conv.${partitionOfToken(token)}.${token}.${part}`;
}

/** All parts of one conversation. */
export function conversationWildcard(conversation: ConversationId): string {
  const token = tokenOf(conversation);
  return `conv.${partitionOfToken(token)}.${token}.*`;
}

/** The stream of the log that stores a subject: people's, or that of its partition. */
export function logStreamOf(subject: string, convStreams: number): string {
  const [log, partition] = subject.split('.', 2);
  return log === 'user' ? USER_STREAM : convStreamName(rangeOfPartition(Number(partition), convStreams));
}

export const convStreamOf = (conversation: ConversationId, topology: Topology): number =>
  rangeOfPartition(partitionOfToken(tokenOf(conversation)), topology.convStreams);

export function userSubject(user: UserId, kind: string): string {
  const token = tokenOf(user);
  return `user.${partitionOfToken(token)}.${token}.${kind}`;
}

/** `Nats-Msg-Id` of what concerns a user as such; no conversation's token is `account` with three parts behind it. */
export const userMessageIdOf = (user: UserId, kind: string, by: string, id: ClientMsgId): string =>
  `account:${kind}:${by}:${tokenOf(user)}:${tokenOf(id)}`;

export const inboxSubjectOfToken = (token: string): string => `inbox.${partitionOfToken(token)}.${token}`;
export const inboxStreamOfToken = (token: string, topology: Topology): number =>
  rangeOfPartition(partitionOfToken(token), topology.inboxStreams);

/** A lane is one writer's unit of fan-out: today, one CONV stream; its number is that stream's. */
export const packSubject = (lane: number, inboxStream: number): string => `pack.${inboxStream}.${lane}`;
export const termSubject = (lane: number, inboxStream: number): string => `term.${inboxStream}.${lane}`;
export const checkpointSubject = (lane: number, inboxStream: number): string => `cp.${inboxStream}.${lane}`;

/** `Nats-Msg-Id` of an append: the key JetStream deduplicates by. Tokens hold no colon, so it is injective. */
export const messageIdOf = (conversation: ConversationId, by: UserId, id: ClientMsgId): string =>
  `${tokenOf(conversation)}:${tokenOf(by)}:${tokenOf(id)}`;

/** Core NATS: a gateway asks a lane's worker for a conversation, and is told when one changed. */
export const viewSubject = (lane: number): string => `view.${lane}`;
export const noticeSubject = (conversation: ConversationId): string => `notice.${tokenOf(conversation)}`;
export const NOTICE_WILDCARD = 'notice.*';
/** Core NATS: a gateway asks whichever worker has a lane's read model. */
export const querySubject = (lane: number): string => `query.${lane}`;
/** Core NATS: how far a gateway's tail has read an INBOX stream, for the workers' back-pressure. */
export const tailedSubject = (inboxStream: number): string => `tailed.${inboxStream}`;

/** One letter a subject: worker, and where the original stands. */
export const deadSubject = (worker: string, stream: string, pos: number): string => `dead.${worker}.${stream}.${pos}`;

/** Core NATS: who is writing, and who is to see it. */
export const TYPING_SUBJECT = 'typing';
/** Core NATS: what counts against somebody at all gateways. */
export const COUNTED_SUBJECT = 'counted';

/** Core NATS: an operator asks where all workers stand; each tells on a subject of its own. */
export const STANDING_ASKED = 'standing.asked';
export const standingSubject = (worker: string, id: string): string => `standing.told.${worker}.${tokenOf(id)}`;
export const STANDING_WILDCARD = 'standing.told.*.*';
