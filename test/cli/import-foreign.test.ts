/** What other messengers leave, imported from the command line into a real server and read through the folds. */
import { execFileSync } from 'node:child_process';
import { mkdirSync, writeFileSync } from 'node:fs';
import { dirname, join, relative } from 'node:path';
import t, { type Test } from 'tap';
import { JetstreamLogReader } from '../../src/adapters/jetstream/log/log-reader.ts';
import { SqliteReadModel } from '../../src/adapters/sqlite/read-model.ts';
import { foldLog } from '../../src/application/read-model/rebuild.ts';
import { directConversationId } from '../../src/domain/ids.ts';
import { contents, folder } from '../support/archives.ts';
import { conversation, user } from '../support/given.ts';
import { type Operated, startOperated } from '../support/operated.ts';
import { zipOf } from '../support/zip.ts';

const text = new TextDecoder();

async function scene(t: Test): Promise<Operated> {
  const operated = await startOperated();
  t.teardown(() => operated.stop());
  return operated;
}

/** What a member reads: the timeline of the conversation, from the fold. */
async function timeline({ operator }: Operated, of: string, reader: string) {
  const model = new SqliteReadModel({ path: ':memory:', log: 'CONV_0' });
  try {
    const log = new JetstreamLogReader({ ...operator, convStream: 0 });
    await foldLog(log, model, await log.lastPos(), () => undefined);
    const page = model.history(user(reader), conversation(of), { type: 'newest' }, 100);
    return (page?.entries ?? []).map((entry) => {
      const { type, by, at, n } = entry;
      const { body, replyTo, mentions, mentionsAll, edited } = entry as unknown as Record<string, unknown>;
      return {
        n,
        type,
        by,
        at,
        ...(body instanceof Uint8Array && { text: text.decode(body) }),
        replyTo,
        mentions,
        mentionsAll,
        edited,
      };
    });
  } finally {
    model.close();
  }
}

const SLACK: Readonly<Record<string, unknown>> = {
  'users.json': [
    { id: 'U1', name: 'ada', profile: { display_name: 'Ada', email: 'ada@example.org' } },
    { id: 'U2', name: 'bob', real_name: 'Bob', deleted: true },
  ],
  'channels.json': [
    {
      id: 'C1',
      name: 'general',
      created: 1_600_000_000,
      creator: 'U1',
      members: ['U1'],
      purpose: { value: 'all of us' },
    },
    { id: 'C2', name: 'empty', is_archived: true },
  ],
  'dms.json': [{ id: 'D1', created: 1_600_000_000, members: ['U1', 'U2'] }],
  'general/2020-09-14.json': [
    { type: 'message', subtype: 'channel_join', user: 'U2', ts: '1600041600.000100', text: 'joined' },
    {
      type: 'message',
      user: 'U1',
      ts: '1600041601.000200',
      text: 'hi <@U2> &amp; <!channel>, see <https://x.org|this>',
      thread_ts: '1600041601.000200',
    },
    {
      ...{ type: 'message', user: 'U2', ts: '1600041602.000300', thread_ts: '1600041601.000200', text: 'yes' },
      ...{ edited: { user: 'U2', ts: '1600045000.000000' }, reactions: [{ name: 'thumbsup' }] },
    },
    {
      type: 'message',
      subtype: 'bot_message',
      bot_id: 'B1',
      username: 'deploys',
      ts: '1600041604.000000',
      text: 'done',
    },
  ],
  'general/2020-09-15.json': [
    {
      type: 'message',
      user: 'U1',
      ts: '1600128000.000000',
      text: '',
      files: [{ name: 'a.pdf', url_private: 'https://files/a' }],
    },
  ],
  'D1/2020-09-14.json': [{ type: 'message', user: 'U2', ts: '1600041603.000000', text: 'psst' }],
};

const asText = (files: Readonly<Record<string, unknown>>): Record<string, string> =>
  Object.fromEntries(Object.entries(files).map(([name, value]) => [name, JSON.stringify(value)]));

t.test('an export of Slack: people, channels, threads, edits, mentions, files; a zip file or its folder', async (t) => {
  const [dir, here] = [folder(t), await scene(t)];
  const [zip, unpacked] = [join(dir, 'export.zip'), join(dir, 'export')];
  writeFileSync(zip, zipOf(asText(SLACK)));
  for (const [name, value] of Object.entries(asText(SLACK))) {
    mkdirSync(dirname(join(unpacked, name)), { recursive: true });
    writeFileSync(join(unpacked, name), value);
  }
  const [report] = await here.json('import', 'slack', zip);
  t.match(report, { complete: true, known: 0, mapped: { people: 2, bots: 1, channels: 1, messages: 5, edits: 1 } });
  const lost = (report as { notMapped: { what: string; count: number }[] }).notMapped.map(({ what }) => what).sort();
  t.match(lost, [
    /^a channel is archived/,
    /^a channel without anybody/,
    /^file: its name/,
    'message of kind channel_join',
    'reaction',
  ]);

  const said = await timeline(here, 'slack-C1', 'slack-U1');
  t.match(said, [
    { n: 1, type: 'groupCreated', at: 1_600_000_000_000 },
    { n: 2, type: 'groupChanged' },
    {
      n: 3,
      by: 'slack-U1',
      text: 'hi @Bob & @channel, see this (https://x.org)',
      mentions: ['slack-U2'],
      mentionsAll: true,
    },
    { n: 4, by: 'slack-U2', text: 'yes', replyTo: 3, at: 1_600_041_602_000 },
    { n: 5, by: 'slack-B1', text: 'done' },
    { n: 6, by: 'slack-U1', text: 'a.pdf https://files/a' },
    { n: 7, type: 'membersRemoved' },
  ]);
  const pair = directConversationId(user('slack-U1'), user('slack-U2'));
  t.match(await timeline(here, pair, 'slack-U1'), [{ n: 1, by: 'slack-U2', text: 'psst' }]);

  const before = await contents(here);
  const named = relative(process.cwd(), unpacked);
  t.match(await here.json('import', 'slack', named), [{ stored: 0 }], 'a second run changes nothing');
  t.same(await contents(here), before);
});

const TELEGRAM = {
  personal_information: { user_id: 7 },
  chats: {
    list: [
      {
        ...{ name: 'Bob', type: 'personal_chat', id: 8 },
        messages: [
          { id: 1, type: 'message', date_unixtime: '1600000000', from: 'Me', from_id: 'user7', text: 'hello' },
          {
            ...{
              id: 2,
              type: 'message',
              date_unixtime: '1600000001',
              edited_unixtime: '1600000009',
              from: 'Bob',
              from_id: 'user8',
            },
            ...{ reply_to_message_id: 1, text: ['see ', { type: 'text_link', text: 'this', href: 'https://x.org' }] },
          },
        ],
      },
      {
        ...{ name: 'Team', type: 'private_supergroup', id: 99 },
        messages: [
          {
            id: 5,
            type: 'service',
            action: 'create_group',
            date_unixtime: '1600000002',
            actor: 'Bob',
            actor_id: 'user8',
          },
          {
            id: 6,
            type: 'message',
            date_unixtime: '1600000003',
            from: 'Me',
            from_id: 'user7',
            text: '',
            photo: 'photos/1.jpg',
          },
          {
            ...{ id: 7, type: 'message', date_unixtime: '1600000004', from: null, from_id: 'user9' },
            text: [{ type: 'mention_name', text: 'Me', user_id: 7 }, ', look'],
          },
        ],
      },
    ],
  },
};

t.test('an export of Telegram: chats, answers, edits, media; read as a stream', async (t) => {
  const [dir, here] = [folder(t), await scene(t)];
  const file = join(dir, 'result.json');
  writeFileSync(file, JSON.stringify(TELEGRAM, null, 1));
  const [report] = await here.json('import', 'telegram', file);
  t.match(report, { complete: true, mapped: { people: 3, chats: 2, messages: 4, edits: 1 } });
  t.match(report, { notMapped: [{ what: /service message create_group/ }, { what: /file/ }] });
  const pair = directConversationId(user('telegram-7'), user('telegram-8'));
  t.match(await timeline(here, pair, 'telegram-7'), [
    { n: 1, by: 'telegram-7', text: 'hello', at: 1_600_000_000_000 },
    { n: 2, by: 'telegram-8', text: 'see this (https://x.org)', replyTo: 1 },
  ]);
  t.match(await timeline(here, 'telegram-99', 'telegram-8'), [
    { n: 1, type: 'groupCreated', by: 'telegram-8' },
    { n: 2, by: 'telegram-7', text: '[photo photos/1.jpg]' },
    { n: 3, by: 'telegram-9', text: 'Me, look', mentions: ['telegram-7'] },
  ]);
  const before = await contents(here);
  t.match(await here.json('import', 'telegram', dir), [{ stored: 0 }]);
  t.same(await contents(here), before);
});

const IRSSI = `--- Log opened Mon Sep 14 10:00:00 2020
10:00 -!- ada [~ada@host] has joined #go
10:01 <@ada> hello
10:01 < bob> hi \u0002there\u0002
10:02  * bob waves
--- Day changed Tue Sep 15 2020
09:00 < Ada> morning
--- Log closed Tue Sep 15 10:00:00 2020
`;
const WEECHAT = [
  '2020-09-14 10:00:00\t-->\tada (~ada@host) has joined #go',
  '2020-09-14 10:01:00\t@ada\thello',
  '2020-09-14 10:01:00\tbob\thi there',
  '2020-09-14 10:02:00\t *\tbob waves',
  '2020-09-15 09:00:00\tAda\tmorning',
].join('\n');
const ZNC = {
  '2020-09-14.log':
    '[10:00:00] *** Joins: ada (~ada@host)\n[10:01:00] <ada> hello\n[10:01:00] <bob> hi there\n[10:02:00] * bob waves\n',
  '2020-09-15.log': '[09:00:00] <Ada> morning\n',
};

t.test('logs of irssi, WeeChat and ZNC tell the same', async (t) => {
  const dir = folder(t);
  writeFileSync(join(dir, '#go.log'), IRSSI);
  writeFileSync(join(dir, 'irc.libera.#go.weechatlog'), WEECHAT);
  mkdirSync(join(dir, 'libera/#go'), { recursive: true });
  for (const [name, value] of Object.entries(ZNC)) writeFileSync(join(dir, 'libera/#go', name), value);
  for (const path of ['#go.log', 'irc.libera.#go.weechatlog', 'libera']) {
    const here = await scene(t);
    const [report] = await here.json('import', 'irc', join(dir, path), '--utc');
    t.match(report, { mapped: { people: 2, channels: 1, messages: 4 }, notMapped: [{ what: 'join', count: 1 }] }, path);
    t.match(await timeline(here, 'irc-#go', 'irc-bob'), [
      { type: 'groupCreated' },
      { by: 'irc-ada', text: 'hello', at: Date.UTC(2020, 8, 14, 10, 1) },
      { by: 'irc-bob', text: 'hi there' },
      { by: 'irc-bob', text: '* bob waves' },
      { by: 'irc-ada', text: 'morning', at: Date.UTC(2020, 8, 15, 9) },
    ]);
    t.match(await here.json('import', 'irc', join(dir, path), '--utc'), [{ stored: 0 }]);
  }
});

t.test('what is no export says so, and writes nothing', async (t) => {
  const [dir, here] = [folder(t), await scene(t)];
  writeFileSync(join(dir, 'broken.zip'), 'PK no zip');
  writeFileSync(join(dir, 'half.json'), '{"name":"x","type":"personal_chat","id":8,"messages":[{"id":1');
  const notTelegram = { name: 'x', type: 'module', id: 'y', messages: [{ id: 1, text: 'z' }] };
  writeFileSync(join(dir, 'package.json'), JSON.stringify(notTelegram));
  writeFileSync(join(dir, 'list.json'), '[1, 2]');
  writeFileSync(join(dir, 'README.md'), '# A title\n\nAnd some prose.\n');
  mkdirSync(join(dir, 'slack'));
  mkdirSync(join(dir, 'empty'));
  writeFileSync(join(dir, '#empty.log'), '');
  execFileSync('mkfifo', [join(dir, 'pipe.zip')]);
  writeFileSync(join(dir, 'slack', 'users.json'), '{"not":"a list"}');
  const cases: [string[], RegExp][] = [
    [['slack', join(dir, 'broken.zip')], /^FILE_UNUSABLE: .*broken\.zip/],
    [['slack', join(dir, 'nowhere')], /^FILE_UNUSABLE: .*ENOENT/],
    [['slack', dir], /^BAD_REQUEST: .*no export of Slack|^BAD_REQUEST: .*no list/],
    [['slack', join(dir, 'slack')], /^BAD_REQUEST: users\.json: there is no list/],
    [['telegram', join(dir, 'half.json')], /^BAD_REQUEST: half\.json: /],
    [['telegram', join(dir, 'broken.zip')], /^FILE_UNUSABLE/],
    [['telegram', join(dir, 'package.json')], /^BAD_REQUEST: package\.json: this is no export of Telegram: /],
    [['telegram', join(dir, 'list.json')], /^BAD_REQUEST: list\.json: this is no export of Telegram: /],
    [['irc', join(dir, 'README.md')], /^BAD_REQUEST: README\.md: no line is one of irssi, WeeChat or ZNC/],
    [['irc', join(dir, 'empty')], /^BAD_REQUEST: nothing was found: there is no file/],
    [['irc', join(dir, '#empty.log')], /^BAD_REQUEST: nothing was found: #empty\.log is empty/],
    [['telegram', join(dir, 'README.md')], /^BAD_REQUEST: README\.md is no JSON: what is expected is result\.json/],
    [['telegram', join(dir, 'empty')], /^BAD_REQUEST: there is no JSON file: what is expected is result\.json/],
    [['slack', join(dir, 'pipe.zip')], /^FILE_UNUSABLE: .*pipe\.zip is neither a regular file nor a folder/],
    [['irc', '/dev/zero'], /^FILE_UNUSABLE: \/dev\/zero is neither a regular file nor a folder/],
  ];
  for (const [args, expected] of cases) {
    t.match(await here.run('import', ...args), { code: 1, stdout: '', stderr: expected }, args.join(' '));
  }
  t.ok((await contents(here)).every(({ events }) => events === 0));
});
