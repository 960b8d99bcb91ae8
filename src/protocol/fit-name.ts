import { isFitName } from '../domain/names.ts';
import { RookeryError } from './error-codes.ts';

/** @param field what it is the value of @throws RookeryError BAD_NAME */
export function fitName(name: string, field: string): string {
  if (isFitName(name)) return name;
  const why = 'nothing visible, or control characters, line breaks or turns of direction in it';
  throw new RookeryError('BAD_NAME', `\`${field}\` has ${why}`);
}
