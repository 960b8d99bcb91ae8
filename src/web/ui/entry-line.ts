/** An entry in one line: in the list, and as a notice in the timeline. */
import type { HistoryEntry, UserId } from '../../sdk/index.ts';
import { inOneLine } from '../model/markup.ts';
import type { App } from '../state/app.ts';
import { listOf, text } from '../text/text.ts';

const MAX_NAMED = 8;

export function lineOf(app: App, entry: HistoryEntry, withName: boolean): string {
  if (entry.type !== 'message') return noticeOf(app, entry);
  if (entry.recalled) return recalledLine(app, entry);
  const line = bodyLine(entry);
  if (entry.by === app.me) return `${text('list.you')} ${line}`;
  return withName ? `${app.names.of(entry.by)}: ${line}` : line;
}

export function bodyLine({
  contentType,
  body,
  keyId,
}: {
  contentType: string;
  body: Uint8Array;
  keyId?: string;
}): string {
  if (keyId !== undefined) return text('message.encrypted');
  if (contentType.startsWith('text/')) return inOneLine(new TextDecoder().decode(body.subarray(0, 1_024)));
  return text('message.unknown', { type: contentType, bytes: body.length });
}

export function recalledLine(app: App, { by, recalled }: HistoryEntry): string {
  if (recalled?.by === app.me) return text('message.recalledByMe');
  const name = app.names.of(recalled?.by ?? by);
  return recalled && recalled.by !== by
    ? text('message.recalledOf', { name, of: app.names.of(by) })
    : text('message.recalled', { name });
}

type Notice = Exclude<HistoryEntry, { readonly type: 'message' }>;

export function noticeOf(app: App, entry: Notice): string {
  const name = app.names.of(entry.by);
  const named = (users: readonly UserId[]): string => {
    const names = users.slice(0, MAX_NAMED).map((user) => app.names.of(user));
    return listOf(users.length > MAX_NAMED ? [...names, '…'] : names);
  };
  switch (entry.type) {
    case 'groupCreated':
      return text('notice.created', { name, group: entry.name });
    case 'membersAdded':
      return text('notice.added', { name, members: named(entry.members) });
    case 'membersRemoved':
      return text('notice.removed', { name, members: named(entry.members) });
    case 'memberLeft':
      return text('notice.left', { name });
    case 'memberJoined':
      return text('notice.joined', { name });
    case 'groupDissolved':
      return text('notice.dissolved', { name });
    case 'roleChanged':
      return text('notice.role', { name, member: app.names.of(entry.member), role: text(`role.${entry.role}`) });
    case 'groupRenamed':
      return text('notice.renamed', { name, group: entry.name });
    case 'memberMuted':
      return text(entry.until === 0 ? 'notice.unmuted' : 'notice.muted', { name, member: app.names.of(entry.member) });
    case 'groupChanged':
      return changeLine(name, entry.settings);
  }
}

function changeLine(name: string, settings: Extract<Notice, { type: 'groupChanged' }>['settings']): string {
  if (settings.announcement) return text('notice.announced', { name, text: inOneLine(settings.announcement) });
  if (settings.mutedAll !== undefined) {
    return text(settings.mutedAll ? 'notice.mutedAll' : 'notice.unmutedAll', { name });
  }
  return text('notice.changed', { name });
}
