/**
 * A message on its way: from the moment it is written until the timeline has it. Kept on the disk by the tab that writes it,
 * before anything else happens to it, so that neither a reload nor the death of the tab with the connection loses it.
 */
import type { ConversationId, MessageContent, Target } from '../../sdk/index.ts';

export interface Outgoing {
  readonly clientMsgId: string;
  readonly conversation: ConversationId;
  readonly target: Target;
  readonly content: MessageContent;
  /** Milliseconds since 1970, by this device's clock until it is `sent`. */
  readonly at: number;
  /** `sent`: the log has it. `refused`: for good, it stands nowhere. */
  readonly state: 'pending' | 'sent' | 'refused';
  /** Of a refusal. */
  readonly code?: string;
}

/** How a request ended, as it goes from tab to tab. */
export type Ending =
  | { readonly pos: number; readonly at?: number }
  | { readonly code: string; readonly message: string };

export const isRefusal = (ending: Ending): ending is Extract<Ending, { readonly code: string }> => 'code' in ending;

/** What waits for the next start is not refused. */
const GOES_OUT_LATER = 'CLIENT_CLOSED';

export function ended(outgoing: Outgoing, ending: Ending): Outgoing {
  const { code: _, ...rest } = outgoing;
  if (!isRefusal(ending)) return { ...rest, state: 'sent', at: ending.at ?? outgoing.at };
  return ending.code === GOES_OUT_LATER ? outgoing : { ...rest, state: 'refused', code: ending.code };
}

/**
 * Once more what was refused, under an id of its own: the log knows the old one as refused, and would call the new message a
 * repetition of it. Undefined where it is not refused (another tab has been faster).
 */
export function again(outgoing: Outgoing | undefined, clientMsgId: string, at: number): Outgoing | undefined {
  if (outgoing?.state !== 'refused') return undefined;
  const { code: _, ...rest } = outgoing;
  return { ...rest, clientMsgId, at, state: 'pending' };
}

/** What somebody can do about a refusal. */
export type Cure = 'ask to be contacts' | 'send again' | 'shorten' | 'nothing';

export function cureOf(code: string): Cure {
  switch (code) {
    case 'NOT_A_CONTACT':
      return 'ask to be contacts';
    case 'BODY_TOO_LARGE':
    case 'FRAME_TOO_LARGE':
      return 'shorten';
    case 'CONVERSATION_DISSOLVED':
    case 'NOT_A_MEMBER':
    case 'ACCOUNT_UNKNOWN':
      return 'nothing';
    default:
      return 'send again';
  }
}
