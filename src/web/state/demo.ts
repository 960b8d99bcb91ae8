/** A short conversation among the demo people, on an empty system: the same again makes nothing twice. */
import { createClient, type Target } from '../../sdk/index.ts';
import { DEMO_PEOPLE, tokenOf } from './sign-in.ts';

const GROUP = 'demo-nest';
const TEAM: Target = { conversation: GROUP };
const [ALICE, BOB, CHEN, DORA] = DEMO_PEOPLE as readonly string[] as [string, string, string, string];
const NAMES: Readonly<Record<string, string>> = {
  [ALICE]: 'Alice Moreau',
  [BOB]: 'Bob Keller',
  [CHEN]: '陈晨',
  [DORA]: 'Dora Okafor',
};

interface Line {
  readonly by: string;
  readonly to: Target;
  readonly text: string;
  readonly mentions?: readonly string[];
  /** Index of the line it answers: the group's first entry tells that it was made. */
  readonly replyTo?: number;
}

const LINES: readonly Line[] = [
  { by: ALICE, to: TEAM, text: 'Morning all 🌿 The nest boxes arrived. Who has a ladder?' },
  { by: BOB, to: TEAM, text: 'I do. Three metres, slightly wobbly, like me before coffee ☕' },
  { by: CHEN, to: TEAM, text: '我周六上午有空，可以帮忙装。要带电钻吗？' },
  {
    by: DORA,
    to: TEAM,
    text: 'Yes please! And the sensor needs a config, something like this:\n```\n{ "box": 4, "everyMs": 60000 }\n```',
  },
  {
    by: ALICE,
    to: TEAM,
    text: '@bob can you check `config/nest.json` before Saturday? Guide: https://nestwatch.org/learn/',
    mentions: [BOB],
  },
  { by: BOB, to: TEAM, text: 'On it, I fix the interval too', replyTo: 6 },
  { by: CHEN, to: TEAM, text: '太好了，周六九点见！' },
  { by: DORA, to: TEAM, text: '🎉🪺' },
  { by: BOB, to: { to: ALICE }, text: 'Shall we take the early train?' },
  { by: ALICE, to: { to: BOB }, text: '7:42 from platform 3. I bring croissants 🥐' },
  { by: BOB, to: { to: ALICE }, text: 'You are the best' },
  { by: CHEN, to: { to: ALICE }, text: '上次的照片发我一份好吗？' },
  { by: DORA, to: { to: ALICE }, text: 'Draft of the report is in the folder. Be merciless.' },
];

/** @throws what a connection or a refusal gives; what is there already is no refusal */
export async function makeDemo(): Promise<void> {
  const clients = new Map<string, Awaited<ReturnType<typeof createClient>>>();
  try {
    for (const user of DEMO_PEOPLE) {
      const url = `${location.origin.replace('http', 'ws')}/v1/ws`;
      const client = await createClient({ url, token: () => tokenOf(user), device: 'demo', resume: 'latest' });
      clients.set(user, client);
      client.start();
      await client.changeProfile({ name: NAMES[user] ?? user }).durable.catch(unless('NO_CHANGE'));
    }
    const of = (user: string) => clients.get(user) as Awaited<ReturnType<typeof createClient>>;
    const group = of(ALICE).createGroup(GROUP, 'Nest box crew 🪺', [BOB, CHEN, DORA]);
    await group.durable.catch(unless('CONVERSATION_EXISTS'));
    for (const [i, { by, to, text, mentions = [], replyTo }] of LINES.entries()) {
      const answer = replyTo === undefined ? {} : { replyTo };
      const content = {
        contentType: 'text/plain',
        body: new TextEncoder().encode(text),
        mentions: mentions as never,
        ...answer,
      };
      // One after the other: among several senders nothing else makes an order.
      await of(by).send(to, content, `demo-${i}`).durable;
    }
  } finally {
    for (const client of clients.values()) await client.close();
  }
}

const unless =
  (expected: string) =>
  (error: { readonly code?: string }): void => {
    if (error.code !== expected) throw error;
  };
