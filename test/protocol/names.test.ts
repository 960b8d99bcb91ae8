/** Names that people see: what cannot stand in one, wherever one comes in. */
import t from 'tap';
import { isFitName } from '../../src/domain/names.ts';
import { parseProfileChanges } from '../../src/protocol/account-fields.ts';
import { DEFAULT_MAX_BODY_BYTES } from '../../src/protocol/limits.ts';
import { parseClientFrame } from '../../src/protocol/validation.ts';

const UNFIT = ['a\u0000b', 'two\nlines', 'a\u001b[2J', 'a\u0085b', '\u202egnp.exe', '\u2066a', 'a\u2069', 'a\u2028b'];
const INVISIBLE = [
  ' ',
  '\u3000',
  '\u200b',
  '\u200c \u200d',
  '\u2060',
  '\ufeff',
  '\u00ad',
  '\u3164',
  '\u2800',
  '\ufe0f',
];
const FIT = [
  'Team 7',
  '乌鸦群 🐦‍⬛',
  'مجموعة',
  'نمی‌خواهم',
  'שלום\u200f!',
  'Łódź',
  '한국어',
  '👩‍👩‍👧',
  '🏴\u{e0067}\u{e007f}',
  'a\u200bb',
  '.',
];

const command = (fields: object): unknown => {
  const frame = { t: 'command', id: 1, clientMsgId: 'c', command: fields };
  return parseClientFrame(frame, DEFAULT_MAX_BODY_BYTES);
};

const WAYS: Readonly<Record<string, (name: string) => unknown>> = {
  'a group that is created': (name) => command({ type: 'createGroup', conversation: 'g', name, members: [] }),
  'a group that is renamed': (name) => command({ type: 'renameGroup', conversation: 'g', name }),
  'a profile': (name) => command({ type: 'changeProfile', profile: { name } }),
  'a profile that a backend sets': (name) => parseProfileChanges({ name }),
  'a device that is renamed': (name) => command({ type: 'renameDevice', device: 'd', name }),
  'a remark': (remark) => command({ type: 'changePreferences', about: '', preferences: { remark } }),
  'a label': (label) => command({ type: 'changePreferences', about: '', preferences: { labels: ['a', label] } }),
  'what a device says of itself': (name) =>
    parseClientFrame({ t: 'hello', id: 1, token: 'x', device: 'd', resume: 'latest', name }, DEFAULT_MAX_BODY_BYTES),
};

for (const [where, parse] of Object.entries(WAYS)) {
  t.test(`${where}: nothing that forges what stands beside it`, async (t) => {
    for (const name of UNFIT) t.throws(() => parse(name), { code: 'BAD_NAME' }, encodeURI(name));
    for (const name of INVISIBLE) t.throws(() => parse(name), { code: 'BAD_NAME' }, encodeURI(name));
    for (const name of FIT) t.doesNotThrow(() => parse(name), encodeURI(name));
  });
}

t.test('texts of several lines are no names', async (t) => {
  const settings = { description: 'two\nlines', announcement: 'a\n\nb' };
  t.doesNotThrow(() => command({ type: 'changeGroup', conversation: 'g', settings }));
  t.doesNotThrow(() => command({ type: 'changePreferences', about: '', preferences: { draft: 'a\nb' } }));
  t.notOk(isFitName('two\nlines'));
});
