/** What a frame may hold. Beyond a limit the request is refused with the code named; the socket lives on. */

/** Bytes of a message body; configurable per gateway up to JetStream's `max_payload`. Beyond: BODY_TOO_LARGE. */
export const DEFAULT_MAX_BODY_BYTES = 65_536;
/** What a frame may have beside the body: ids, mentions, member lists. A longer frame closes the socket (1009). */
export const MAX_FRAME_OVERHEAD_BYTES = 262_144;
/** A hello is a token and a few ids: before it was taken nobody gets us to read more (1009). */
export const MAX_HELLO_FRAME_BYTES = 16_384;
/** Characters of a content type. Beyond: BAD_REQUEST, as for all that follow. */
export const MAX_CONTENT_TYPE_CHARS = 127;
export const MAX_KEY_ID_CHARS = 128;
export const MAX_MENTIONS = 256;
export const MAX_GROUP_NAME_CHARS = 256;
/** Characters of a group's description or announcement; and of the address of its picture. */
export const MAX_GROUP_TEXT_CHARS = 4_096;
export const MAX_AVATAR_CHARS = 2_048;
export const MAX_GREETING_CHARS = 256;
export const MAX_DRAFT_CHARS = 8_192;
export const MAX_REMARK_CHARS = 128;
/** One's own groups of contacts a contact is in, and characters of the name of one. */
export const MAX_LABELS = 16;
export const MAX_LABEL_CHARS = 64;
/** Of a profile: characters of the name, of a free field, and fields that one change may name. */
export const MAX_PROFILE_NAME_CHARS = 128;
export const MAX_PROFILE_FIELD_CHARS = 512;
export const MAX_PROFILE_CHANGES = 64;
export const MAX_TIME_ZONE_CHARS = 64;
/** Characters of a device's name. */
export const MAX_DEVICE_NAME_CHARS = 64;
/** Users whose profiles or presence are asked for at a time; and whom one session watches. */
export const MAX_ASKED_USERS = 100;
export const MAX_WATCHED = 256;
/** An invite is a secret: too short a one could be guessed. */
export const MIN_INVITE_CHARS = 16;
export const MAX_INVITE_CHARS = 64;
/** Users named in one createGroup, addMembers or removeMembers. */
export const MAX_MEMBERS_PER_COMMAND = 1_000;
export const MAX_AGENT_CHARS = 128;
/** Characters of a token. */
export const MAX_TOKEN_CHARS = 8_192;
/** Conversations or entries of one page of an answer. */
export const MAX_PAGE_ENTRIES = 100;
/** Characters of what is searched for. */
export const MAX_SEARCH_CHARS = 256;
