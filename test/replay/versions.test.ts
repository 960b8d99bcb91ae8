/**
 * Old logs read for ever: the bytes of every version ever released, as they stand in logs, read by the code of today.
 *
 * `version-<n>.json` holds them, in base64, with what they must be read as. A file is written once, when its version is released
 * first, and only added to while that version is the newest; what stands in it never changes.
 */
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import t from 'tap';
import { parseUserId, type UserId } from '../../src/domain/ids.ts';
import { decodeAccountEvent, decodePasswordEvent } from '../../src/protocol/account-event.ts';
import { RookeryError } from '../../src/protocol/error-codes.ts';
import { LOG_SCHEMA_VERSION, opened, type Upcaster } from '../../src/protocol/log-envelope.ts';
import { decodeLogEvent } from '../../src/protocol/log-event.ts';
import { packr } from '../../src/protocol/messagepack.ts';
import { accountSamples, conversationSamples, type Sample } from './samples.ts';

interface Recorded {
  readonly kind: string;
  readonly base64: string;
  readonly reads: unknown;
}

interface RecordedVersion {
  readonly conversations: readonly Recorded[];
  readonly people: readonly Recorded[];
}

const fileOf = (version: number): string => join(import.meta.dirname, `version-${version}.json`);
const recorded = (version: number): RecordedVersion => JSON.parse(readFileSync(fileOf(version), 'utf8'));
const versions = Array.from({ length: LOG_SCHEMA_VERSION }, (_, i) => i + 1);

/** Bytes as base64, so that it can be compared with what stands in a file. */
const plain = (value: unknown): unknown =>
  JSON.parse(
    JSON.stringify(value, (_key, part) => (isBytes(part) ? Buffer.from(bytesOf(part)).toString('base64') : part)),
  );
/** A Buffer's own toJSON runs before a replacer sees it. */
const isBytes = (part: unknown): part is Uint8Array | { type: 'Buffer'; data: number[] } =>
  part instanceof Uint8Array || (part as { type?: string } | null)?.type === 'Buffer';
const bytesOf = (part: Uint8Array | { data: number[] }): Uint8Array =>
  part instanceof Uint8Array ? part : Uint8Array.from(part.data);

function readPerson(data: Uint8Array): unknown {
  const { type } = opened(data);
  if (type === 'passwordChanged') return decodePasswordEvent(data);
  if (type === 'userBlocked' || type === 'userUnblocked') return opened(data);
  const { user } = opened(data).after as { user: UserId };
  return decodeAccountEvent(parseUserId(user) as UserId, data);
}

for (const version of versions) {
  t.test(`every event of version ${version} is read as it was meant`, async (t) => {
    const { conversations, people } = recorded(version);
    for (const { kind, base64, reads } of conversations) {
      t.same(plain(decodeLogEvent(Buffer.from(base64, 'base64'))), reads, `${kind} in a conversation`);
    }
    for (const { kind, base64, reads } of people) {
      t.same(plain(readPerson(Buffer.from(base64, 'base64'))), reads, `${kind} of a person`);
    }
  });
}

t.test('what is written today is what its version was recorded as, kind by kind', async (t) => {
  t.ok(existsSync(fileOf(LOG_SCHEMA_VERSION)), `version ${LOG_SCHEMA_VERSION} is recorded`);
  const { conversations, people } = recorded(LOG_SCHEMA_VERSION);
  const compare = (samples: readonly Sample[], records: readonly Recorded[], read: (data: Uint8Array) => unknown) => {
    for (const { kind, data } of samples) {
      const base64 = Buffer.from(data).toString('base64');
      const found = records.find((record) => record.kind === kind);
      // A new kind is added to the file; other bytes of a known one are a new version, with an upcaster.
      const line = JSON.stringify({ kind, base64, reads: plain(read(data)) });
      t.equal(found?.base64, base64, `${kind} as recorded`, found ? {} : { add: line });
    }
  };
  compare(conversationSamples, conversations, decodeLogEvent);
  compare(accountSamples, people, readPerson);
});

/** As a third version would have them: a name that was one text is two, then the key is another. */
const chain: readonly Upcaster[] = [
  ({ name, ...rest }) => ({ ...rest, names: String(name).split(' ') }),
  ({ names, ...rest }) => ({ ...rest, called: names }),
];

t.test('an event goes through all versions between its own and the newest', async (t) => {
  const written = (v: unknown, fields: object): Uint8Array => packr.pack({ v, type: 'x', ...fields });
  const expected = { type: 'x', called: ['Ada', 'L'] };
  t.same(opened(written(1, { name: 'Ada L' }), chain), expected);
  t.same(opened(written(2, { names: ['Ada', 'L'] }), chain), expected);
  t.same(opened(written(3, { called: ['Ada', 'L'] }), chain), expected);
});

t.test('an upcaster leaves what it was given as it was', async (t) => {
  const fields = Object.freeze({ type: 'x', name: 'Ada L' });
  for (const upcast of chain) upcast(fields);
  t.same(fields, { type: 'x', name: 'Ada L' });
});

t.test('a newer version is never guessed at, and what is no version is none', async (t) => {
  const refusal = (data: Uint8Array): string => {
    try {
      decodeLogEvent(data);
      return 'read';
    } catch (error) {
      return error instanceof RookeryError ? `${error.code}: ${error.message}` : String(error);
    }
  };
  const [sample] = conversationSamples;
  const { v: _, ...fields } = packr.unpack(sample?.data as Uint8Array) as Record<string, unknown>;
  const of = (v: unknown): string => refusal(packr.pack({ v, ...fields }));
  const next = LOG_SCHEMA_VERSION + 1;
  t.equal(of(LOG_SCHEMA_VERSION), 'read');
  t.match(of(next), new RegExp(`^EVENT_UNREADABLE: schema version ${next} is newer than ${LOG_SCHEMA_VERSION}`));
  for (const none of [0, -1, 1.5, '1', null, undefined, [1]]) t.match(of(none), /^EVENT_UNREADABLE: schema version/);
  const other = { ...fields, type: 'messageSung' };
  t.match(
    refusal(packr.pack({ v: LOG_SCHEMA_VERSION, ...other })),
    /^EVENT_UNREADABLE: not a known event: messageSung/,
  );
});
