import type { Scope } from '../../ports/api-keys.ts';
import type { Command } from '../../protocol/frames.ts';

/** What an API key must be allowed for a command as a user. A new command must be given its scope here. */
export const commandScopes: { readonly [Type in Command['type']]: Scope } = {
  editMessage: 'messages:write',
  recallMessage: 'messages:write',
  createGroup: 'conversations:write',
  addMembers: 'conversations:write',
  removeMembers: 'conversations:write',
  changeRole: 'conversations:write',
  renameGroup: 'conversations:write',
  changeGroup: 'conversations:write',
  leaveGroup: 'conversations:write',
  dissolveGroup: 'conversations:write',
  muteMember: 'conversations:write',
  createInvite: 'conversations:write',
  revokeInvite: 'conversations:write',
  joinGroup: 'conversations:write',
  requestToJoin: 'conversations:write',
  declineJoin: 'conversations:write',
  markRead: 'conversations:write',
  changePreferences: 'conversations:write',
  requestContact: 'conversations:write',
  declineContact: 'conversations:write',
  removeContact: 'conversations:write',
  blockUser: 'conversations:write',
  unblockUser: 'conversations:write',
  changeProfile: 'accounts:write',
  changeSettings: 'accounts:write',
  signOut: 'accounts:write',
  renameDevice: 'accounts:write',
  revokeDevice: 'accounts:write',
};
