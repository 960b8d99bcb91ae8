/**
 * A message's headers, for who reads millions. nats.js makes a class of them that knows every rule about their names, which costs more
 * than all else of a message; what is asked here is each name's first value, and it is read from the bytes right before the data.
 */
import type { Msg } from '@nats-io/nats-core';

type Headers = readonly (readonly [name: string, value: string])[];

/** As every message of nats.js is; its interface does not tell. */
type Sized = Msg & { size(): number };

const LINE_END = '\r\n';
const FIRST_LINE = `NATS/1.0${LINE_END}`;
/** What has anything else in it is left to nats.js: spaces to be trimmed, no ASCII, a line that goes on in the next. */
const USUAL_LINE = /^([!-9;-~]+): ?((?:[!-~](?:[ -~]*[!-~])?)?)$/;

/**
 * Undefined where there are none. The same as nats.js: each name once, in the order of first appearance, with its first value.
 * @param data the message's, as it was given: a view into the bytes of the whole message
 */
export function headersOf(message: Msg, data: Uint8Array): Headers | undefined {
  const text = headerTextOf(message, data);
  return text === undefined ? undefined : (quickly(text) ?? slowly(message));
}

/** As they were sent, in Latin-1, with their first line and the empty one behind them. @param data as above */
export function headerTextOf(message: Msg, data: Uint8Array): string | undefined {
  const { subject, reply = '' } = message;
  const bytes = (message as Sized).size() - subject.length - reply.length - data.length;
  if (bytes === 0) return undefined;
  const start = data.byteOffset - bytes;
  return start < 0 ? '' : Buffer.from(data.buffer, start, bytes).toString('latin1');
}

function quickly(text: string): Headers | undefined {
  if (!text.startsWith(FIRST_LINE)) return undefined;
  const found: (readonly [string, string])[] = [];
  let at = FIRST_LINE.length;
  for (let end = text.indexOf(LINE_END, at); end > at; end = text.indexOf(LINE_END, at)) {
    const parts = USUAL_LINE.exec(text.slice(at, end));
    if (!parts) return undefined;
    const name = parts[1] as string;
    if (found.some(([other]) => other === name)) return undefined;
    found.push([name, parts[2] as string]);
    at = end + LINE_END.length;
  }
  return at === text.length - LINE_END.length ? found : undefined;
}

function slowly({ headers }: Msg): Headers | undefined {
  return headers && [...headers].map(([name, values]) => [name, values[0] ?? ''] as const);
}
