/** What `ConversationViews` and `ViewServer` promise, on a real nats-server. */
import t, { type Test } from 'tap';
import {
  JetstreamConversationViews,
  JetstreamViewServer,
} from '../../src/adapters/jetstream/between-processes/conversation-views.ts';
import { evolve, initialConversation } from '../../src/domain/conversation.ts';
import type { ConversationId, UserId } from '../../src/domain/ids.ts';
import type { FoldedView, Intended, Stored, Verdict, Views } from '../../src/ports/conversation-views.ts';
import { encodeViewRequest } from '../../src/protocol/conversation-codec.ts';
import { convStreamOf, viewSubject } from '../../src/protocol/subjects.ts';
import { conversation, msgId, user } from '../support/given.ts';
import { quiet, startNats } from '../support/nats.ts';
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

const only = (view: Views['view']): Views => ({ view, verdict: () => undefined });

async function scene(t: Test) {
  const nats = await startNats({ topology });
  t.teardown(() => nats.stop());
  const worker = await nats.connect('fan-out-worker');
  const gateway = await nats.connect('gateway');
  return {
    gateway,
    server: new JetstreamViewServer(worker.nc, quiet),
    views: new JetstreamConversationViews(gateway.nc, topology),
  };
}

t.test('a view arrives whole, asked of the worker of the conversation’s own lane', async (t) => {
  const { server, views } = await scene(t);
  const asked: [ConversationId, Intended | undefined][] = [];
  const answer = (id: ConversationId, intended?: Intended): FoldedView => {
    asked.push([id, intended]);
    return { conversation: group, statePos: 12, ...(intended && { seenAt: 9 }) };
  };
  await server.serve(lane, only(answer));
  await server.serve(
    1 - lane,
    only(() => t.fail('not this lane’s') as never),
  );
  const fetch = (intended?: Intended) =>
    eventually(() => views.fetch(rooks, { about: [alice], ...(intended && { intended }) }), 'the worker answers');
  const whole = { conversation: group, statePos: 12, memberCount: 2, isPartial: false };
  t.same(await fetch(), whole);
  t.same(await fetch({ by: alice, id: msgId('m-1') }), { ...whole, seenAt: 9 });
  t.same(asked.at(-1), [rooks, { by: alice, id: 'm-1' }]);
});

t.test('a verdict arrives as the worker gives it, or not at all', async (t) => {
  const { server, views } = await scene(t);
  const event: Stored = { by: alice, id: msgId('m-1'), pos: 7 };
  t.equal(await views.verdict(rooks, event), undefined, 'there is no worker');
  let verdict: Verdict | undefined;
  const asked: unknown[] = [];
  await server.serve(lane, {
    view: () => ({ conversation: group, statePos: 1 }),
    verdict: (...of) => {
      asked.push(of);
      return verdict;
    },
  });
  await eventually(() => views.fetch(rooks, { about: [alice] }), 'the worker answers');
  t.equal(await views.verdict(rooks, event), undefined, 'it has not folded so far');
  for (verdict of [
    { type: 'accepted' },
    { type: 'duplicate', original: 3 },
    { type: 'refused', code: 'MUTED' },
    { type: 'forgotten' },
  ] as const)
    t.same(await views.verdict(rooks, event), verdict);
  t.same(asked.at(-1), [rooks, event]);
});

t.test('without a worker there is no view, and no error', async (t) => {
  const { server, views } = await scene(t);
  t.equal(await views.fetch(rooks, { about: [alice] }), undefined);
  const serving = await server.serve(
    lane,
    only(() => ({ conversation: group, statePos: 1 })),
  );
  await eventually(() => views.fetch(rooks, { about: [alice] }), 'the worker answers');
  await serving.stop();
  t.equal(await views.fetch(rooks, { about: [alice] }), undefined, 'nor after it has stopped');
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

t.test('of a large group a view knows whom it was asked about, and fits into a message', async (t) => {
  const { server, views } = await scene(t);
  const everybody = Array.from({ length: 10_000 }, (_, i) => user(String(i).padStart(128, 'u')));
  const large = evolve(
    initialConversation(rooks),
    { type: 'groupCreated', by: alice, id: msgId('c'), name: 'Rooks', members: everybody },
    1,
  );
  await server.serve(
    lane,
    only(() => ({ conversation: large, statePos: 1 })),
  );
  const last = everybody.at(-1) as UserId;
  const asked = { about: [last, user('stranger')] };
  const view = await eventually(() => views.fetch(rooks, asked), 'the worker answers');
  t.match(view, { isPartial: true, memberCount: 10_001 });
  t.equal(view.conversation.roster.members.get(last), 'member');
  t.notOk(view.conversation.roster.members.has(user('stranger')));
  t.ok(view.conversation.roster.members.size < 10, 'and few besides');
  const more = await eventually(() => views.fetch(rooks, { about: [alice], members: 500 }), 'the worker answers');
  t.ok(more.conversation.roster.members.size >= 500);
});

t.test('what the worker fails at costs one view, not the connection', async (t) => {
  const { server, views } = await scene(t);
  let fails = true;
  const answer = (): FoldedView => {
    if (fails) throw new Error('a defect');
    return { conversation: group, statePos: 1 };
  };
  await server.serve(lane, only(answer));
  t.equal(await views.fetch(rooks, { about: [alice] }), undefined);
  fails = false;
  t.ok(await eventually(() => views.fetch(rooks, { about: [alice] }), 'the next is answered'));
});

t.test('who asked long ago is not answered any more', async (t) => {
  const { gateway, server } = await scene(t);
  let answered = 0;
  const answer = (): FoldedView => {
    answered += 1;
    return { conversation: group, statePos: 1 };
  };
  await server.serve(lane, only(answer));
  const request = (until: number) =>
    gateway.nc
      .request(viewSubject(lane), encodeViewRequest({ conversation: rooks, about: [], until }), { timeout: 500 })
      .catch(() => undefined);
  await eventually(() => request(Date.now() + 50), 'the worker answers');
  const before = answered;
  t.equal(await request(Date.now() - 60_000), undefined);
  t.equal(answered, before);
});
