/**
 * Pins the wire. Clients we do not know speak it: who changes it on purpose changes the hash here in the same commit, and
 * within v1 only adds.
 */
import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import t from 'tap';
import { closeCodes } from '../../src/protocol/close-codes.ts';
import { jsonCodec } from '../../src/protocol/codec.ts';
import { errorCodes } from '../../src/protocol/error-codes.ts';
import { DEFAULT_MAX_BODY_BYTES } from '../../src/protocol/limits.ts';
import { parseClientFrame } from '../../src/protocol/validation.ts';

const PINNED = '0951e7e8ae3a45b2a1409b9c58f571434479a4af68fb5935ccf200a166171c98';

const ROOT = join(import.meta.dirname, '../..');
const read = (path: string): string => readFileSync(join(ROOT, path), 'utf8');
const FRAMES = ['frames', 'account-frames', 'ephemeral-frames', 'inbox-entry', 'presence-frames', 'read-frames'];
const frames = FRAMES.map((name) => read(`src/protocol/${name}.ts`)).join('');
const [, normative = ''] = /<!-- normative: begin -->(.*)<!-- normative: end -->/s.exec(read('docs/PROTOCOL.md')) ?? [];

/** The examples of one side, each a frame; a block may hold several. */
const examples = (side: 'client' | 'server'): string[] =>
  [...normative.matchAll(new RegExp(`\`\`\`json ${side}\n(.*?)\`\`\``, 'gs'))].flatMap(([, block = '']) =>
    block.trim().split(/\n(?=\{)/),
  );

t.test('the wire is what it was', async (t) => {
  const hash = createHash('sha256').update(frames).update(normative).digest('hex');
  t.equal(
    hash,
    PINNED,
    `${FRAMES.join('.ts, ')}.ts of src/protocol/ or the normative part of docs/PROTOCOL.md has changed`,
  );
});

t.test('every example of a client frame is taken', async (t) => {
  const found = examples('client');
  t.ok(found.length >= 10, 'there are examples');
  for (const text of found) {
    const frame = parseClientFrame(jsonCodec.decode(new TextEncoder().encode(text)), DEFAULT_MAX_BODY_BYTES);
    const { body: _, ...fields } = frame as unknown as Record<string, unknown>;
    t.match(jsonCodec.decode(new TextEncoder().encode(text)), fields, `nothing is lost of ${text.slice(0, 60)}`);
  }
});

t.test('each frame of the types has an example, and no other', async (t) => {
  const declared = [...frames.matchAll(/readonly t: '(\w+)'/g)].map(([, name]) => name);
  const shown = [...examples('client'), ...examples('server')].map((text) => (JSON.parse(text) as { t: string }).t);
  t.same([...new Set(shown)].sort(), [...new Set(declared)].sort());
});

t.test('close codes, and the error codes that are named, are those of the code', async (t) => {
  for (const [name, code] of Object.entries(closeCodes)) t.match(normative, `| ${code} | \`${name}\``);
  const known = new Set([...Object.keys(errorCodes), ...Object.keys(closeCodes)]);
  const resyncs = [...frames.matchAll(/'([A-Z]+(?:_[A-Z]+)+)'/g)].map(([, reason]) => reason);
  const named = [...normative.matchAll(/`([A-Z]+(?:_[A-Z]+)+)`/g)].map(([, code = '']) => code);
  t.same(
    named.filter((code) => !known.has(code) && !resyncs.includes(code)),
    [],
  );
});
