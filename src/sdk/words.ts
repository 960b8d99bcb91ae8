/** What people are told: why a connection is gone, and what of theirs was refused. Programs go by the codes. */
import { RookeryError } from '../protocol/error-codes.ts';
import type { Query } from '../protocol/frames.ts';
import { ClientError } from './client-error.ts';
import type { Request } from './requests.ts';

/** What the network and proxies close with, mostly without a word; the server's own codes come with a text. */
const CLOSED_BY: Readonly<Record<number, string>> = {
  1000: 'the other side has closed the connection',
  1001: 'the gateway goes away',
  1005: 'the other side has closed the connection, and said nothing',
  1006: 'the connection was lost without a close frame, or none could be made',
  1011: 'the gateway has met an error',
  1012: 'the gateway starts again',
  1013: 'the gateway has too much to do',
};

/** @param reason of the close frame: empty where there was none */
export const closedText = (code: number, reason: string): string =>
  `${reason || (CLOSED_BY[code] ?? 'the connection was closed')} (${code})`;

/** A request as whoever called for it would know it again; never what it says. */
export function requestText(request: Request): string {
  if (request.t === 'send') {
    const { address } = request;
    return `send to ${'to' in address ? address.to : address.conversation}`;
  }
  const { command } = request;
  return textOf(command.type, command);
}

export const queryText = (query: Query): string => textOf(query.type, query);

function textOf(type: string, fields: object): string {
  const { conversation, user } = fields as { readonly conversation?: string; readonly user?: string };
  const about = conversation ?? user;
  return about === undefined ? type : `${type} ${about}`;
}

/** The same error for who called: a log that has its text alone says what was asked, and the code. */
export function toldError<Thrown extends Error>(error: Thrown, asked: string): Thrown | RookeryError | ClientError {
  if (error instanceof ClientError) return new ClientError(error.code, textWith(error, asked));
  if (!(error instanceof RookeryError)) return error;
  const { retryAfterMs } = error;
  return new RookeryError(error.code, textWith(error, asked), retryAfterMs === undefined ? {} : { retryAfterMs });
}

const textWith = ({ message, code }: RookeryError | ClientError, asked: string): string =>
  message === '' ? `${asked}: ${code}` : `${asked}: ${message} (${code})`;
