import { RookeryError } from '../../src/protocol/error-codes.ts';
import { eventually } from './waiting.ts';

/** The code a promise was refused with; 'accepted' where it was not. */
export async function codeOf(promise: Promise<unknown>): Promise<string> {
  try {
    await promise;
    return 'accepted';
  } catch (error) {
    return error instanceof RookeryError ? error.code : String(error);
  }
}

/**
 * The code that `act` is refused with. A gateway that nobody answers in time leaves it to the fold, which refuses it then: so it is
 * done again until the gateway itself does.
 */
export const refusalOf = (act: () => Promise<unknown>): Promise<string> =>
  eventually(async () => {
    const code = await codeOf(act());
    return code !== 'accepted' && code;
  }, 'a refusal');
