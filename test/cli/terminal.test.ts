/** What somebody sees: a page that is drawn over and over, a bar, and lines that are cut. */
import t, { type Test } from 'tap';
import { Page } from '../../src/cli/page.ts';
import { endBar, ProgressBar } from '../../src/cli/progress.ts';
import { EventLines } from '../../src/cli/shown-event.ts';
import { counted, cut, cutPainted, widthOf } from '../../src/cli/terminal.ts';
import { bytes, conversation, user } from '../support/given.ts';
import { message } from '../support/inbox-records.ts';
import { FakeScreen } from '../support/screen.ts';

const COLOUR = /\x1b\[[0-9;]*m/g;

function withTerm(t: Test, term: string): void {
  const before = process.env.TERM;
  process.env.TERM = term;
  t.teardown(() => {
    if (before === undefined) delete process.env.TERM;
    else process.env.TERM = before;
  });
}

t.test('a page is drawn over the one before, and leaves nothing of it', async (t) => {
  const screen = new FakeScreen(20, 5);
  screen.write('$ before\n');
  const page = new Page(screen);
  t.equal(screen.isCursorShown, false);
  page.draw('one line that is long\ntwo\nthree\nfour');
  t.same(screen.shown, ['one line that is lo…', 'two', 'three', 'four']);
  const { writes } = screen;
  page.draw('short\n\nthird');
  t.same(screen.shown, ['short', '', 'third']);
  t.equal(screen.writes, writes + 1, 'in one write: nothing half drawn is seen');
  page.close();
  t.same([screen.shown, screen.isCursorShown, screen.isOther], [['$ before'], true, false]);
  page.close();
  t.equal(screen.listenerCount('resize'), 0);
});

t.test('a page fits the terminal, and again as soon as that is another size', async (t) => {
  const screen = new FakeScreen(30, 8);
  const page = new Page(screen);
  const lines = Array.from({ length: 12 }, (_, i) => `line ${i} \x1b[32m发票发票发票发票发票\x1b[0m`);
  page.draw(lines.join('\n'));
  t.equal(screen.shown.length, 8);
  t.equal(screen.shown[0], 'line 0 发票发票发票发票发票');
  screen.resize(12, 4);
  t.same(screen.shown, ['line 0 发票…', 'line 1 发票…', 'line 2 发票…', 'line 3 发票…']);
  screen.resize(40, 20);
  t.equal(screen.shown.length, 12);
  t.ok(screen.shown.every((line) => line.endsWith('发票')));
  page.close();
});

t.test('a line of the log stays on its line, and on a narrow terminal says who, what kind, and what', async (t) => {
  const { columns, isTTY } = process.stdout;
  t.teardown(() => Object.assign(process.stdout, { columns, isTTY }));
  const at = Date.parse('2026-07-01T12:00:00Z');
  const said = { ...message(1_234_567), at, conversation: conversation('a-conversation-with-a-long-name') };
  const record = { ...said, event: { ...said.event, by: user('somebody-with-a-name') } };
  for (const width of [200, 100, 80, 60, 40]) {
    Object.assign(process.stdout, { columns: width, isTTY: true });
    const lines = new EventLines(1, 10);
    const [, first = ''] = lines.lineOf(record, 0).replaceAll(COLOUR, '').split('\n');
    const second = lines.lineOf({ ...record, subject: 's', reason: 'r'.repeat(300), data: bytes('x') } as never, 0);
    t.ok(widthOf(first) <= width && widthOf(second.replaceAll(COLOUR, '')) <= width, `${width}: ${first}`);
    t.match(first, '1234567');
    if (width >= 80) t.match(first, /a-conver.* somebo?.* messageSent +body 1/);
  }
});

t.test('in a pipe the type of an event is whole, and what mentions nobody says nothing of it', async (t) => {
  const { columns, isTTY } = process.stdout;
  t.teardown(() => Object.assign(process.stdout, { columns, isTTY }));
  Object.assign(process.stdout, { columns: 80, isTTY: false });
  const said = { ...message(1), at: 0 };
  const lineOf = (event: object): string => new EventLines(1, 1).lineOf({ ...said, event } as never, 0);
  t.match(lineOf({ type: 'conversationDelivered', by: 'bob', id: 'i', upTo: 3 }), / conversationDelivered {2}upTo=3$/);
  t.notMatch(lineOf({ ...said.event, mentions: [] }), 'mentions');
  t.match(lineOf({ ...said.event, mentions: ['bob'] }), 'mentions=["bob"]');
});

t.test('one of something is one, and not ones', async (t) => {
  t.same([counted(0, 'event'), counted(1, 'event'), counted(2, 'event')], ['0 events', '1 event', '2 events']);
  t.equal(counted(1, 'person', 'people'), '1 person');
});

t.test('what is said begins in the same column of each line, whoever says it and wherever', async (t) => {
  const { columns } = process.stdout;
  t.teardown(() => Object.assign(process.stdout, { columns }));
  for (const width of [80, 100, 160]) {
    Object.assign(process.stdout, { columns: width });
    const lines = new EventLines(2, 7);
    const starts = ['al', 'mallory-with-a-long-name', '陈晨', '🐦‍⬛⭐', '乌'.repeat(30)].map((name, i) => {
      const said = { ...message(10 ** i), conversation: conversation(`${name}-s`), at: 0 };
      const shown =
        lines
          .lineOf({ ...said, event: { ...said.event, by: user(name) } }, 1)
          .split('\n')
          .at(-1) ?? '';
      return [widthOf(shown.slice(0, shown.indexOf('messageSent'))), widthOf(shown.slice(0, shown.indexOf('body ')))];
    });
    t.same(starts, Array(starts.length).fill(starts[0]), `${width} columns`);
  }
});

t.test('a bar stays on its line, however narrow the terminal, and what follows begins on the next', async (t) => {
  withTerm(t, 'xterm');
  for (const columns of [200, 80, 50, 30, 12]) {
    const screen = new FakeScreen(columns, 6);
    const bar = new ProgressBar('verifying CONV_0', 0, 'events', screen);
    bar.at(1, 1_000_000);
    t.equal(screen.shown.length, 1, `${columns} columns`);
    bar.at(1_000_000, 1_000_000);
    t.equal(screen.shown.length, 1, `${columns} columns, done`);
    t.equal(endBar(), false, 'its line is ended');
    screen.write('done\n');
    t.same(screen.shown.slice(1), ['done']);
  }
  const screen = new FakeScreen(80, 6);
  new ProgressBar('folding', 0, 'events', screen).at(5, 10);
  t.equal(endBar(), true);
  screen.write('LOG_UNAVAILABLE: gone\n');
  t.match(screen.shown, [/^folding {2}\[█+ +\] 50 %/, 'LOG_UNAVAILABLE: gone']);
  t.equal(endBar(), false);
});

t.test('no bar where nobody would see one', async (t) => {
  withTerm(t, 'dumb');
  const screen = new FakeScreen(80, 6);
  new ProgressBar('folding', 0, 'events', screen).at(5, 10);
  t.equal(screen.writes, 0, 'a terminal that cannot go back');
  process.env.TERM = 'xterm';
  const pipe = Object.assign(new FakeScreen(80, 6), { isTTY: false });
  new ProgressBar('folding', 0, 'events', pipe).at(5, 10);
  t.equal(pipe.writes, 0, 'a pipe');
});

t.test('characters take the columns that a terminal gives them', async (t) => {
  const widths = { abc: 3, 发票: 4, é: 1, '⭐✅⚡': 6, '🇳🇴': 2, '🐦': 2, '→': 1 };
  for (const [text, width] of Object.entries(widths)) t.equal(widthOf(text), width, text);
});

t.test('a painted line is cut as one that is not, and its colour ends with it', async (t) => {
  const painted = 'ab\x1b[31m发票\x1b[0mcd\x1b[1mef\x1b[0m';
  const plain = painted.replaceAll(COLOUR, '');
  for (let width = 1; width <= widthOf(plain) + 1; width++) {
    const shown = cutPainted(painted, width);
    t.equal(shown.replaceAll(COLOUR, ''), cut(plain, width), `to ${width}`);
    t.ok(widthOf(shown.replaceAll(COLOUR, '')) <= width);
    t.ok(shown === painted || shown.endsWith('\x1b[0m'));
  }
});
