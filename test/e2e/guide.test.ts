/**
 * docs/GUIDE.md, run from top to bottom on a real deployment, a block at a time: what `console.log` prints must be what stands behind
 * it, or on the lines below it, as a comment. Between two blocks fan-out and read model take in what the last one has written.
 */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { inspect } from 'node:util';
import t from 'tap';
import { startReadModelWorker } from '../../src/processes/read-model-worker.ts';
import { encodeReached } from '../../src/protocol/query-cursors.ts';
import { convStreamName } from '../../src/protocol/subjects.ts';
import { type Client, createClient, directConversationId } from '../../src/sdk/index.ts';
import { API_KEY, RawClient, startTestGateway, tokenFor } from '../support/gateway.ts';
import { quiet } from '../support/nats.ts';
import { eventually } from '../support/waiting.ts';

const PROJECT = join(import.meta.dirname, '..', '..');
const GUIDE = join(PROJECT, 'docs', 'GUIDE.md');
const README = join(PROJECT, 'README.md');
/** Names that a block leaves to the next ones. */
const DECLARED = /^(?:const|let) (?:(\w+) =|\{([^}]*)\} =|\[([^\]]*)\] =)/gm;

const gateways = await startTestGateway();
t.teardown(() => gateways.stop());
const { nats, gateway } = gateways;
const worker = await startReadModelWorker(
  {
    nats: { servers: [nats.server.url], credentialsFile: nats.server.credentialsFile },
    ...{ topology: nats.topology, logLevel: 'silent', stateDir: join(nats.dataDir, 'read-model') },
  },
  quiet,
);
t.teardown(() => worker.drain());
const { jsm } = await nats.connect('operator');
const watcher = await RawClient.greeted(gateway, 'watcher');
t.teardown(() => watcher.end());

const clients: Client[] = [];
t.teardown(() => Promise.all(clients.map((client) => client.close())));
const printed: string[] = [];

/** What a reader has before the first block. */
const scope: Record<string, unknown> = {
  url: `${gateway.address.replace('http', 'ws')}/v1/ws`,
  server: gateway.address,
  apiKey: API_KEY,
  tokenOf: (user: string) => tokenFor(user),
  createClient: async (options: Parameters<typeof createClient>[0]) => {
    const client = await createClient(options);
    clients.push(client);
    return client;
  },
  directConversationId,
  console: { log: (...values: unknown[]) => printed.push(values.map(shown).join(' ')) },
};

const blocks = [...readFileSync(GUIDE, 'utf8').matchAll(/^```ts\n(.*?)^```/gms)].map(([, code]) => code ?? '');
t.ok(blocks.length > 20, 'the guide has blocks');
for (const [i, block] of blocks.entries()) {
  await t.test(`block ${i + 1}: ${block.trim().split('\n')[0]}`, async (t) => {
    printed.length = 0;
    await run(block);
    const expected = expectedOf(block);
    await eventually(() => printed.length >= expected.length, `${expected.length} lines are printed`);
    await takenIn();
    // Events print when they come.
    t.same(printed.toSorted(), expected.toSorted());
  });
}

t.test('the first example of the README can be run again and again', async (t) => {
  const [, example = ''] = /^```ts\n(.*?)^```/ms.exec(readFileSync(README, 'utf8')) ?? [];
  t.match(example, 'createGroup');
  Object.assign(scope, { fetchToken: () => tokenFor('alice'), show: () => undefined });
  for (let i = 0; i < 2; i++) {
    const code = example.replace('ws://127.0.0.1:7700/v1/ws', String(scope.url)).replace("'laptop'", `'laptop-${i}'`);
    await t.resolves(run(code), `run ${i + 1}`);
  }
});

function shown(value: unknown): string {
  return typeof value === 'string' ? value : inspect(value, { breakLength: Number.POSITIVE_INFINITY });
}

/** What stands behind each `console.log`, and on comment lines below it. */
function expectedOf(block: string): string[] {
  const expected: string[] = [];
  let follows = false;
  for (const line of block.split('\n')) {
    const [, behind] = /console\.log\(.*?\/\/ (.*)$/.exec(line) ?? [];
    const [, below] = /^\/\/ (.*)$/.exec(line) ?? [];
    if (behind !== undefined) expected.push(behind);
    else if (below !== undefined && follows) expected.push(below);
    follows = line.includes('console.log(') || (below !== undefined && follows);
  }
  return expected;
}

/** As a module would: imports are in the scope already, and what the block declares is left there. */
async function run(block: string): Promise<void> {
  const code = block.replace(/^import .*$/gm, '');
  const declared = [...code.matchAll(DECLARED)].flatMap(([, name, fields, items]) =>
    (name ?? fields ?? items ?? '').split(',').map((part) => part.split(':').at(-1)?.trim() ?? ''),
  );
  const names = declared.filter((name) => /^\w+$/.test(name));
  const body = `return (async () => { ${code}\n return { ${names.join(', ')} }; })();`;
  const block_ = new Function(...Object.keys(scope), body);
  Object.assign(scope, await block_(...Object.values(scope)));
}

/** Fan-out and read model have all that stands in the log. */
async function takenIn(): Promise<void> {
  const { state } = await jsm.streams.info(convStreamName(0));
  const question = { t: 'query', query: { type: 'conversations' }, reached: encodeReached([state.last_seq]) };
  await eventually(async () => (await watcher.ask(question)).t === 'result', 'the read model has the whole log');
}
