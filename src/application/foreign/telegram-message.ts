/** One message of Telegram's export, as plain text. */
import type { UserId } from '../../domain/ids.ts';

export interface TelegramMessage {
  readonly id: number;
  readonly type?: string;
  readonly action?: string;
  readonly date_unixtime?: string;
  readonly edited_unixtime?: string;
  readonly from?: string | null;
  readonly from_id?: string;
  readonly actor?: string | null;
  readonly actor_id?: string;
  readonly text?: string | readonly (string | TelegramText)[];
  readonly reply_to_message_id?: number;
  readonly forwarded_from?: string | null;
  readonly reactions?: readonly unknown[];
  readonly photo?: string;
  readonly file?: string;
  readonly sticker_emoji?: string;
  readonly poll?: { readonly question?: string };
  readonly location_information?: { readonly latitude?: number; readonly longitude?: number };
}

interface TelegramText {
  readonly type?: string;
  readonly text?: string;
  readonly href?: string;
  readonly user_id?: number | string;
}

/** Text with its addresses written out, and who is named in it by id: of a bare @name nobody says who that is. */
export function plainText(
  { text = '' }: TelegramMessage,
  userOf: (id: string | number) => UserId,
): { readonly text: string; readonly mentions: readonly UserId[] } {
  if (typeof text === 'string') return { text, mentions: [] };
  const mentions: UserId[] = [];
  const parts = text.map((part) => {
    if (typeof part === 'string') return part;
    const { type, text: own = '', href, user_id } = part;
    if (type === 'mention_name' && user_id !== undefined) mentions.push(userOf(user_id));
    return type === 'text_link' && href ? `${own} (${href})` : own;
  });
  return { text: parts.join(''), mentions };
}

/** What a message carries beside text, a line each. */
export function mediaOf(message: TelegramMessage): readonly string[] {
  const { photo, file, sticker_emoji, poll, location_information: place } = message;
  return [
    photo && `[photo ${photo}]`,
    file && `[file ${file}]`,
    !file && sticker_emoji,
    poll && `[poll ${poll.question ?? ''}]`,
    place && `[place ${place.latitude}, ${place.longitude}]`,
  ].filter((line): line is string => Boolean(line));
}
