/** Files whose frames and digests are right, and whose content no export has written: they are refused before anything is stored. */
import { join } from 'node:path';
import t from 'tap';
import type { StoredRecord } from '../../src/ports/archive.ts';
import { encodeLogEvent } from '../../src/protocol/log-event.ts';
import { conversationSubject } from '../../src/protocol/subjects.ts';
import { contents, folder, isEmpty } from '../support/archives.ts';
import { bytes, conversation, msgId, user } from '../support/given.ts';
import { startOperated } from '../support/operated.ts';
import { HEADER, type Written, writeArchive } from '../support/written-archive.ts';

const record = (seq: number, change: Partial<StoredRecord> = {}): StoredRecord => ({
  ...{ seq, at: 1_000 + seq, subject: conversationSubject(conversation('rooks'), 'm'), messageId: `m${seq}` },
  headers: [],
  data: encodeLogEvent({
    ...{ type: 'messageSent', by: user('alice'), id: msgId(`m${seq}`) },
    ...{ contentType: 'text/plain', body: bytes('caw') },
  }),
  ...change,
});
const [CONV, USER] = [1, 0];
const records = [record(1), record(2), record(3)];
const whole: Written = { blocks: [[CONV, records]] };
const last = (change: Partial<StoredRecord>): Written => ({ blocks: [[CONV, [...records, record(4, change)]]] });

const file = join(folder(t), 'false.rookery');
const to = await startOperated();
t.teardown(() => to.stop());

const created = (text: string): Written => ({
  ...whole,
  header: { ...HEADER, streams: HEADER.streams.map((stream) => ({ ...stream, created: text })) },
});
const person: StoredRecord = record(1, { subject: 'user.0.bob.account', messageId: 'u1' });

const damaged: [string, Written, RegExp][] = [
  ['the last block is empty', { blocks: [...(whole.blocks ?? []), [CONV, []]] }, /block 2, .*no record/],
  ['all are', { blocks: [...[USER, CONV].map((stream) => [stream, []] as const)] }, /block 1, .*no record/],
  ['the last position is none', last({ seq: Number.NaN }), /CONV_0@NaN /],
  ['the last position is 0', last({ seq: 0 }), /CONV_0@0 /],
  ['a time is none', last({ at: -1 }), /CONV_0@4 .*no time/],
  ['a stream is named twice', { ...whole, header: { ...HEADER, streams: Array(2).fill(HEADER.streams[1]) } }, /twice/],
  ['the header names no streams', { ...whole, header: { ...HEADER, streams: undefined } }, /block 0, .*streams/],
  ['the header has no selection', { ...whole, header: { ...HEADER, selection: undefined } }, /block 0, .*selection/],
  ['the header is no JSON', { header: '{' }, /block 0, at byte 8: /],
  ['the header is nothing', { header: 'null' }, /block 0, at byte 8: /],
  [
    'a subject is an order to the server',
    last({ subject: '$JS.API.STREAM.DELETE.CONV_0', data: new Uint8Array(0) }),
    /CONV_0@4 is no record of a log: its subject/,
  ],
  ['an id has a second line', last({ messageId: 'm4\r\nRookery-Void: 1' }), /CONV_0@4 .*its id/],
  ['what becomes a part of ids has a second line', created('then\r\nRookery-Void: 1'), /block 0, .*created/],
  ['what becomes a part of ids is long', created('y'.repeat(70_000)), /block 0, .*created/],
  [
    'a name is an order to the terminal',
    { ...whole, header: { ...HEADER, streams: [{ ...HEADER.streams[0], name: '\u001b[2J' }] } },
    /block 0, .*name/,
  ],
  [
    'there are more streams than a log can have',
    {
      ...whole,
      header: {
        ...HEADER,
        streams: Array.from({ length: 300 }, (_, k) => ({ ...HEADER.streams[1], name: `CONV_${k}` })),
      },
    },
    /block 0, .*streams/,
  ],
  [
    'a stream goes on behind the next one',
    {
      blocks: [
        [CONV, records],
        [USER, [person]],
      ],
    },
    /USER@1 .*another stream begins/,
  ],
  ['the end is no JSON', { ...whole, end: '{' }, /block 2, /],
  ['the end is nothing', { ...whole, end: 'null' }, /block 2, /],
];

for (const [what, written, said] of damaged) {
  t.test(what, async (t) => {
    await writeArchive(file, written);
    const commands = [
      ['import', file],
      ['import', file, '--merge'],
      ['replay', file, '--speed', 'max', '--into', 'TRIAL'],
    ];
    for (const { code, stdout, stderr } of await Promise.all(commands.map((args) => to.run(...args)))) {
      t.match({ code, stdout, stderr }, { code: 1, stdout: '', stderr: /^ARCHIVE_DAMAGED: / });
      t.match(stderr, said);
      t.notMatch(stderr, /\n +at /, 'no stack');
    }
    t.ok(isEmpty(await contents(to)));
    await t.rejects(to.operator.jsm.streams.info('TRIAL'), /stream not found/);
  });
}

t.test('what is larger than the log takes is told before anything is stored', async (t) => {
  const large: [Partial<StoredRecord>, RegExp][] = [
    [{ messageId: 'y'.repeat(70_000) }, /CONV_0@4 has 70000 bytes of headers, of which the log takes 6\d{4}$/m],
    [{ data: new Uint8Array(1_100_000) }, /CONV_0@4 has 1100002 bytes, of which the log takes 104\d{4}$/m],
  ];
  for (const [change, said] of large) {
    await writeArchive(file, last(change));
    for (const how of [[], ['--merge']]) {
      const outcome = await to.run('import', file, '--keep-unreadable', ...how);
      t.match(outcome, { code: 1, stdout: '', stderr: /^IMPORT_MISMATCH: / });
      t.match(outcome.stderr, said);
    }
  }
  await writeArchive(file, last({ seq: 200_000 }));
  t.match(await to.run('import', file), { code: 1, stderr: /^IMPORT_MISMATCH: CONV_0@200000 comes behind 3: / });
  t.ok(isEmpty(await contents(to)));
});

t.test('a file as an export would have written it is taken', async (t) => {
  await writeArchive(file, whole);
  t.match(await to.run('import', file), { code: 0, stdout: /identical to the file/ });
  t.equal((await contents(to))[CONV]?.events, 3);
});
