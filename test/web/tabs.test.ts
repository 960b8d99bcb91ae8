/** One connection for all tabs: on real channels and real locks, with a hub that notes what it is asked. */
import t, { type Test } from 'tap';
import type { Status } from '../../src/sdk/index.ts';
import type { Ask, Hub, News } from '../../src/web/link/link.ts';
import { MAX_OPEN_ASKS, Tabs } from '../../src/web/link/tabs.ts';
import { eventually } from '../support/waiting.ts';

const LIVE: Status = { phase: 'live' };
const QUESTION: Ask = { type: 'query', query: { type: 'account' } };

interface Scene {
  readonly tabs: Tabs;
  readonly asked: Ask[];
  readonly heard: News[];
  /** Tells all tabs; only of who leads. */
  tell(news: News): void;
  /** As a tab that is closed. */
  close(): Promise<void>;
}

let count = 0;
function scene(t: Test) {
  const name = `rookery test ${process.pid} ${++count}`;
  const open = (answer: (ask: Ask) => Promise<unknown> = async () => 'answered'): Scene => {
    const asked: Ask[] = [];
    const heard: News[] = [];
    let tell: (news: News) => void = () => undefined;
    const channel = new BroadcastChannel(name);
    const startHub = async (telling: (news: News) => void): Promise<Hub> => {
      tell = telling;
      return {
        status: LIVE,
        perform(ask) {
          asked.push(ask);
          return answer(ask);
        },
        watchFrames: () => undefined,
        close: async () => undefined,
      };
    };
    const tabs = new Tabs({ channel: channel as never, locks: navigator.locks, name, startHub });
    tabs.on((news) => void heard.push(news));
    tabs.start((error) => t.fail(String(error)));
    t.teardown(() => tabs.close());
    return { tabs, asked, heard, tell: (news) => tell(news), close: () => tabs.close() };
  };
  return open;
}

t.test('one tab leads; the others ask it, and hear what it hears', async (t) => {
  const open = scene(t);
  const first = open();
  await eventually(() => first.tabs.isLeader, 'the first leads');
  const second = open();
  t.equal(await second.tabs.ask(QUESTION), 'answered');
  t.same([first.asked, second.asked], [[QUESTION], []]);
  await eventually(() => second.tabs.status.phase === 'live', 'the second knows how things stand');
  first.tell({ type: 'outgoing', clientMsgId: 'm' });
  await eventually(() => second.heard.some(({ type }) => type === 'outgoing'), 'heard by both');
  t.ok(first.heard.some(({ type }) => type === 'outgoing'));
  t.equal(second.tabs.isLeader, false);
});

t.test('when the leader is gone another one leads, and is asked what was not answered', async (t) => {
  const open = scene(t);
  const first = open(() => new Promise(() => undefined));
  await eventually(() => first.tabs.isLeader, 'the first leads');
  const [second, third] = [open(), open()];
  const answers = [second.tabs.ask(QUESTION), third.tabs.ask(QUESTION)];
  await eventually(() => first.asked.length === 2, 'the first was asked');
  await first.close();
  t.same(await Promise.all(answers), ['answered', 'answered']);
  t.equal([second, third].filter(({ tabs }) => tabs.isLeader).length, 1);
});

t.test('a refusal keeps its code on its way to another tab', async (t) => {
  const open = scene(t);
  const refuse = () => Promise.reject(Object.assign(new Error('no'), { code: 'NOT_A_MEMBER' }));
  const first = open(refuse);
  await eventually(() => first.tabs.isLeader, 'the first leads');
  const second = open(refuse);
  await t.rejects(second.tabs.ask(QUESTION), { code: 'NOT_A_MEMBER', message: 'no' });
  await t.rejects(first.tabs.ask(QUESTION), { code: 'NOT_A_MEMBER' });
});

t.test('more questions than the bound are refused at once', async (t) => {
  const open = scene(t);
  const first = open(() => new Promise(() => undefined));
  for (let i = 0; i < MAX_OPEN_ASKS; i++) first.tabs.ask(QUESTION).catch(() => undefined);
  await t.rejects(first.tabs.ask(QUESTION), { code: 'OUTBOX_FULL' });
});
