import { RookeryError } from '../../src/protocol/error-codes.ts';

/** The code a promise was refused with; 'accepted' where it was not. */
export async function codeOf(promise: Promise<unknown>): Promise<string> {
  try {
    await promise;
    return 'accepted';
  } catch (error) {
    return error instanceof RookeryError ? error.code : String(error);
  }
}
