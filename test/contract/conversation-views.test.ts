/** What `ConversationViews` and `ViewServer` promise, on a real nats-server. */
import t, { type Test } from 'tap';
import { JetstreamConversationViews, JetstreamViewServer } from '../../src/adapters/jetstream/conversation-views.ts';
import { evolve, initialConversation } from '../../src/domain/conversation.ts';
import type { ConversationId } from '../../src/domain/ids.ts';
import type { Intended, View } from '../../src/ports/conversation-views.ts';
import { convStreamOf } from '../../src/protocol/subjects.ts';
import { conversation, msgId, user } from '../support/given.ts';
import { startNats } from '../support/nats.ts';
import { eventually } from '../support/waiting.ts';

const topology = { convStreams: 2, inboxStreams: 1 };
const rooks = conversation('鸦 巢.*>');
const lane = convStreamOf(rooks, topology);
const [alice, bob] = [user('alice'), user('bob')];
const group = evolve(
  initialConversation(rooks),
  {
    type: 'groupCreated',
    by: alice,
    id: msgId('c'),
    name: 'Rooks',
    members: [bob],
  },
  1,
);

async function scene(t: Test) {
  const nats = await startNats({ topology });
  t.teardown(() => nats.stop());
  const worker = await nats.connect('fan-out-worker');
  const gateway = await nats.connect('gateway');
  return {
    gateway,
    server: new JetstreamViewServer(worker.nc),
    views: new JetstreamConversationViews(gateway.nc, topology),
  };
}

t.test('a view arrives whole, asked of the worker of the conversation’s own lane', async (t) => {
  const { server, views } = await scene(t);
  const asked: [ConversationId, Intended | undefined][] = [];
  const answer = (id: ConversationId, intended?: Intended): View => {
    asked.push([id, intended]);
    return { conversation: group, statePos: 12, ...(intended && { seenAt: 9 }) };
  };
  await server.serve(lane, answer);
  await server.serve(1 - lane, () => t.fail('not this lane’s') as never);
  const fetch = (intended?: Intended) => eventually(() => views.fetch(rooks, intended), 'the worker answers');
  t.same(await fetch(), { conversation: group, statePos: 12 });
  t.same(await fetch({ by: alice, id: msgId('m-1') }), { conversation: group, statePos: 12, seenAt: 9 });
  t.same(asked.at(-1), [rooks, { by: alice, id: 'm-1' }]);
});

t.test('without a worker there is no view, and no error', async (t) => {
  const { server, views } = await scene(t);
  t.equal(await views.fetch(rooks), undefined);
  const serving = await server.serve(lane, () => ({ conversation: group, statePos: 1 }));
  await eventually(() => views.fetch(rooks), 'the worker answers');
  await serving.stop();
  t.equal(await views.fetch(rooks), undefined, 'nor after it has stopped');
});

t.test('who listens hears which conversation changed', async (t) => {
  const { gateway, server, views } = await scene(t);
  const heard: ConversationId[] = [];
  views.onChange((id) => heard.push(id));
  await gateway.nc.flush();
  server.announceChange(rooks);
  server.announceChange(conversation('plain'));
  await eventually(() => heard.length === 2, 'two notices');
  t.same(heard, [rooks, 'plain']);
});
