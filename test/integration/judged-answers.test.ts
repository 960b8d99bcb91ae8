/** Over HTTP the answer is the fold's: what it refuses behind the gateway's back is told, now or when it is asked again. */
import t, { type Test } from 'tap';
import type { ConversationEvent } from '../../src/domain/conversation.ts';
import { startFanOutWorker } from '../../src/processes/fan-out-worker.ts';
import { encodeLogEvent } from '../../src/protocol/log-event.ts';
import { conversationSubject, messageIdOf } from '../../src/protocol/subjects.ts';
import { API_KEY, startTestGateway } from '../support/gateway.ts';
import { conversation, msgId, user } from '../support/given.ts';
import { quiet } from '../support/nats.ts';

const [owner, bob] = [user('owner'), user('bob')];
const crew = conversation('crew');
const UNTIL = 4e12;

/** A gateway and no worker, so that it decides nothing by itself; and what others have written behind its back. */
async function scene(t: Test) {
  const { nats, gateway, stop } = await startTestGateway({ worker: false });
  t.teardown(stop);
  const operator = await nats.connect('operator');
  const append = async (event: ConversationEvent): Promise<number> => {
    const part = event.type === 'messageSent' ? 'm' : 's';
    const msgID = messageIdOf(crew, event.by, event.id);
    return (await operator.js.publish(conversationSubject(crew, part), encodeLogEvent(event), { msgID })).seq;
  };
  await append({ type: 'groupCreated', by: owner, id: msgId('c'), name: 'Crew', members: [bob] });
  const startWorker = async () => {
    const access = { servers: [nats.server.url], credentialsFile: nats.server.credentialsFile };
    const stateDir = `${nats.dataDir}/worker`;
    const { topology } = nats;
    const worker = await startFanOutWorker({ nats: access, topology, logLevel: 'silent', stateDir }, quiet);
    let drained: Promise<void> | undefined;
    const drain = () => (drained ??= worker.drain());
    t.teardown(drain);
    return drain;
  };
  const post = async (path: string, body: object): Promise<Record<string, unknown>> => {
    const headers = { authorization: `Bearer ${API_KEY}`, 'content-type': 'application/json' };
    const answer = await fetch(gateway.address + path, { method: 'POST', headers, body: JSON.stringify(body) });
    return { ...((await answer.json()) as object), status: answer.status };
  };
  const say = (clientMsgId: string) =>
    post('/v1/messages', { from: 'bob', conversation: crew, clientMsgId, contentType: 'text/plain', text: 'hello' });
  const mute = (id: string, until = UNTIL) =>
    append({ type: 'memberMuted', by: owner, id: msgId(id), member: bob, until });
  const command = (by: string, clientMsgId: string, fields: object) =>
    post(`/v1/users/${by}/commands`, { clientMsgId, command: { conversation: crew, ...fields } });
  return { append, startWorker, say, mute, command };
}

t.test('what the fold refuses is refused over HTTP, whenever it is asked', async (t) => {
  const { startWorker, say, mute } = await scene(t);
  await mute('muted');
  const saying = [say('m-1'), say('m-2')];
  const drain = await startWorker();
  for (const answer of await Promise.all(saying)) t.match(answer, { status: 403, code: 'MUTED' });
  t.match(await say('m-1'), { status: 403, code: 'MUTED' }, 'a retry');
  await mute('heard', 0);
  t.match(await say('m-3'), { status: 200, duplicate: undefined, pending: undefined });
  t.match(await say('m-1'), { status: 403, code: 'MUTED' }, 'what was refused stays so');
  await drain();
  await startWorker();
  t.match(await say('m-3'), { status: 200, duplicate: true });
  t.match(await say('m-1'), { status: 409, code: 'REFUSED' }, 'also by a worker that knows no more why');
});

t.test('what nobody can tell in time is pending, and told to who asks again', async (t) => {
  const { startWorker, say, mute } = await scene(t);
  const early = await say('m-1');
  t.match(early, { status: 202, pending: true, conversation: 'crew' });
  await mute('muted');
  t.match(await say('m-2'), { status: 202, pending: true });
  await startWorker();
  t.match(await say('m-2'), { status: 403, code: 'MUTED' });
  t.match(await say('m-1'), { status: 200, pos: early.pos, duplicate: true, pending: undefined });
});

t.test('commands as well: changes, edits and read marks', async (t) => {
  const { startWorker, command, append } = await scene(t);
  await append({ type: 'membersRemoved', by: owner, id: msgId('removed'), members: [bob] });
  const asking = [
    command('bob', 'edit', { type: 'editMessage', target: 'm-1', contentType: 'text/plain', text: 'x' }),
    command('bob', 'leave', { type: 'leaveGroup' }),
    command('owner', 'far', { type: 'markRead', upTo: 99 }),
    command('owner', 'near', { type: 'markRead', upTo: 1 }),
    command('owner', 'name', { type: 'renameGroup', name: 'Rooks' }),
  ];
  await startWorker();
  t.match(await Promise.all(asking), [
    { status: 403, code: 'NOT_A_MEMBER' },
    { status: 403, code: 'NOT_A_MEMBER' },
    { status: 409, code: 'INDEX_BEYOND_END' },
    { status: 200 },
    { status: 200 },
  ]);
});
