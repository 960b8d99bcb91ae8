/** `rookery show`: an event, who got it, what became of its retries; by position and by id. */
import t from 'tap';
import { JetstreamDeviceCursors } from '../../src/adapters/jetstream/inbox/device-cursors.ts';
import { JetstreamLogReader } from '../../src/adapters/jetstream/log/log-reader.ts';
import { foldOneEvent } from '../../src/application/replay/one-event.ts';
import { directConversationId, type UserId } from '../../src/domain/ids.ts';
import type { LogEvent } from '../../src/ports/conversation-log.ts';
import { positionsOf, storyOf } from '../../src/processes/event-story.ts';
import { encodeLogEvent } from '../../src/protocol/log-event.ts';
import { conversationSubject } from '../../src/protocol/subjects.ts';
import { uuidv7 } from '../../src/sdk/uuidv7.ts';
import { conversation, device, msgId, user, users } from '../support/given.ts';
import { quiet } from '../support/nats.ts';
import { says, startOperated } from '../support/operated.ts';
import { startProcess } from '../support/processes.ts';
import { eventually } from '../support/waiting.ts';

const [alice, bob, carol] = users('alice', 'bob', '陈晨') as [UserId, UserId, UserId];
const direct = directConversationId(alice, bob);
const group = conversation('rooks');
const crowd = Array.from({ length: 30 }, (_, i) => user(`m${i}`));
const scene = await startOperated();
t.teardown(() => scene.stop());
const { append, run, json, operator } = scene;

await append(group, { type: 'groupCreated', by: alice, name: 'Rooks', members: [bob, carol, ...crowd] });
const uuid = uuidv7(Date.now());
const pos = await append(direct, says(alice, 'hello'), uuid);
const packed = await append(group, says(bob, 'to the crowd'));
const refused = await append(group, says(user('mallory'), 'let me in'), 'of-mallory');
// A retry that comes after JetStream's duplicate window, which has no memory of the first.
const again = { ...says(alice, 'hello'), id: msgId(uuid) } as never;
const retry = (await operator.js.publish(conversationSubject(direct, 'm'), encodeLogEvent(again))).seq;
await scene.startWorker();
const acked = async () => (await operator.jsm.consumers.info('CONV_0', 'fan-out')).ack_floor.stream_seq === retry;
await eventually(acked, 'all is in the inboxes');

t.test('who got it and where, who has confirmed it, and the retry that was refused', async (t) => {
  const access = { servers: [scene.nats.server.url], credentialsFile: scene.nats.server.credentialsFile };
  const stateDir = `${scene.nats.dataDir}/read-model`;
  const reader = startProcess('read-model-worker', { nats: access, logLevel: 'info', stateDir }, scene.nats.dataDir);
  t.teardown(() => reader.child.kill('SIGKILL'));
  await reader.said('lane current');
  const gateway = await scene.nats.connect('gateway');
  const cursors = await JetstreamDeviceCursors.open(gateway.nc, quiet);
  const { created } = await operator.jsm.streams.info('INBOX_0');
  const epoch = `${new Date(created as never).getTime().toString(36)}.x`;
  cursors.confirm(bob, device('phone'), { epoch, seq: 1_000 });
  cursors.confirm(bob, device('tablet'), { epoch, seq: 2 });
  cursors.confirm(bob, device('watch'), { epoch: 'olden.x', seq: 3_000 });
  // The log is replayed to these two; to the one it has come to this event.
  cursors.confirm(bob, device('new'), { epoch: `0-${pos.toString(36)}~${epoch}`, seq: 1_000 });
  cursors.confirm(bob, device('newer'), { epoch: `0-${(pos - 1).toString(36)}~${epoch}`, seq: 1_000 });
  cursors.confirm(alice, device('laptop'), { epoch, seq: 1 });
  await cursors.drain();
  const [story] = await json('show', String(pos));
  t.match(story, {
    event: { stream: 'CONV_0', pos, type: 'messageSent', text: 'hello', id: uuid },
    envelope: { schema: 1, messageId: /:alice:/, subject: /^conv\./, bytes: Number },
    outcome: { type: 'accepted', n: 1 },
    duplicates: [{ pos: retry, at: String }],
    inboxes: {},
    fanOut: { lane: 0, acked: retry, lag: 0, checkpoints: [retry], holder: String },
    readModels: [{ worker: 'read-model', lanes: [{ lane: 0, position: retry, isServing: true }] }],
  });
  const { recipients } = story as { recipients: { user: string; seq: number; devices: object[] }[] };
  t.match(recipients, [
    { user: alice, inboxStream: 'INBOX_0', devices: [{ device: 'laptop', hasConfirmed: false }] },
    { user: bob, inboxStream: 'INBOX_0', devices: Array },
  ]);
  t.match(
    (recipients[1] as { devices: { device: string }[] }).devices.find(({ device }) => device === 'watch'),
    {
      ...{ seq: 3_000, isOfThisStream: false, hasConfirmed: false },
    },
  );
  for (const { user, seq } of recipients) {
    const { subject } = (await operator.jsm.streams.getMessage('INBOX_0', { seq })) ?? {};
    t.match(subject, new RegExp(`^inbox\\.\\d+\\.${user}$`), 'the sequence is that of the user’s own record');
  }
  t.match(await run('show', String(pos)), {
    code: 0,
    stdout:
      /the fold +accepted, index 1\n.*retry refused +at \d+.*alice +INBOX_0@\d+ +read up to 0\n.*read model +has it/s,
  });
  const { stdout } = await run('show', String(pos));
  t.match(stdout, /^ +laptop is at 1\n/m, 'a device a line');
  const of = (name: string): string => new RegExp(`^ +${name} (.*)$`, 'm').exec(stdout)?.[1] ?? '';
  t.match(stdout, /^ {2}bob +INBOX_0@\d+ +read up to 0\n +(phone|tablet|watch|new|newer) /m);
  t.equal(of('phone'), 'confirmed');
  t.equal(of('tablet'), 'is at 2');
  t.equal(of('watch'), 'was at 3000 of an INBOX_0 that is gone', 'its sequence says nothing of this one');
  t.equal(of('new'), 'confirmed');
  t.equal(of('newer'), 'is told the log again, and not so far yet');
});

t.test('by the id of a message; where a pack was written once for all', async (t) => {
  t.match((await json('show', uuid))[0], { event: { pos } });
  const [story] = await json('show', `CONV_0@${packed}`);
  const { recipients } = story as { recipients: { seq?: number }[] };
  t.equal(recipients.length, 33);
  t.ok(recipients.every(({ seq }) => seq !== undefined));
});

t.test('what the fold refused went back to its sender', async (t) => {
  const [story] = await json('show', 'of-mallory');
  t.match(story, {
    event: { pos: refused },
    outcome: { type: 'rejected', code: 'NOT_A_MEMBER' },
    recipients: [{ user: 'mallory', seq: Number }],
  });
});

t.test('what nobody can read is shown all the same', async (t) => {
  const { seq } = await operator.js.publish(conversationSubject(group, 'm'), new Uint8Array([0xc1]));
  t.match((await json('show', String(seq)))[0], { event: { type: 'unreadable', data: 'wQ==' }, recipients: [] });
  t.match((await run('show', String(seq))).stdout, /^ +envelope +no schema told, 1 bytes, conv\./m);
});

t.test('after Ctrl-C nothing is read on', async (t) => {
  const interrupted = new AbortController();
  const parts = { nats: operator, topology: scene.nats.topology, log: quiet, stop: interrupted.signal };
  let read = 0;
  const found = positionsOf(parts, 'no-such-id', undefined, undefined, () => {
    read += 1;
    interrupted.abort();
  });
  for await (const _ of found) t.fail();
  t.equal(read, 1, 'of the events that are looked through for an id');
  t.equal(await storyOf(parts, 0, pos), undefined);

  const [event] = (await Array.fromAsync(
    new JetstreamLogReader({ ...operator, convStream: 0 }).read(pos, pos),
  )) as LogEvent[];
  const stop = new AbortController();
  const given: number[] = [];
  const reader = {
    lastPos: async () => 1_000,
    async *read() {
      for (let at = pos; at <= 1_000; at++) {
        given.push(at);
        if (at === pos + 10) stop.abort();
        yield { ...(event as LogEvent), pos: at };
      }
    },
  };
  t.equal(await foldOneEvent(reader, event as LogEvent, stop.signal), undefined);
  t.equal(given.length, 11, 'of the conversation that is folded');
});

t.test('what the stream had to drop is told so, and what somebody has taken out is missing', async (t) => {
  const other = await startOperated();
  t.teardown(() => other.stop());
  const { jsm } = other.operator;
  const inboxes = async (at: number) => (await other.json('show', String(at)))[0] as Record<string, unknown>;
  const places: number[] = [];
  // Each worker begins a term, by which what comes behind it can be judged.
  for (const name of ['a', 'b']) {
    await other.startWorker(name);
    for (let i = 0; i < 20; i++) {
      places.push(await other.append(direct, says(alice, 'hello '.repeat(20))));
      const written = async () =>
        (await jsm.consumers.info('CONV_0', 'fan-out')).ack_floor.stream_seq === places.at(-1);
      await eventually(written, 'it is in the inboxes');
    }
    await other.drain();
  }
  const [oldest = 0, newest = 0, lost = 0] = [places[0], places.at(-1), places.at(-2)];
  t.match(await inboxes(oldest), { inboxes: {}, recipients: [{ seq: Number }, { seq: Number }] });
  const { config, state } = await jsm.streams.info('INBOX_0');
  await jsm.streams.update('INBOX_0', { ...config, max_bytes: Math.floor(state.bytes * 0.7) });
  t.match(await inboxes(oldest), { inboxes: { INBOX_0: 'beyond retention' } });
  t.match((await other.run('show', String(oldest))).stdout, /bob +INBOX_0: dropped by the stream’s bounds/);
  t.match(await inboxes(newest), { inboxes: {}, recipients: [{ seq: Number }, { seq: Number }] });
  const { recipients } = (await inboxes(lost)) as { recipients: { seq: number }[] };
  await jsm.streams.deleteMessage('INBOX_0', recipients[1]?.seq as number, false);
  t.match((await other.run('show', String(lost))).stdout, /bob +INBOX_0: MISSING: `rookery verify` says more/);
  await jsm.streams.purge('INBOX_0');
  await jsm.streams.update('INBOX_0', config);
  t.notMatch(await inboxes(oldest), { inboxes: { INBOX_0: 'beyond retention' } }, 'somebody has emptied it');
});

t.test('bad input is refused with a code', async (t) => {
  const cases: [string[], RegExp][] = [
    [['99999'], /^NOT_FOUND: CONV_0@99999 is beyond the end/],
    [['CONV_3@1'], /^BAD_REQUEST: CONV_3@1: the topology has no such stream/],
    [['0'], /^BAD_REQUEST: 0: a position is 1 or more/],
    [['no-such-id'], /^NOT_FOUND: no event in the log has the id "no-such-id"/m],
    [['USER@1'], /^NOT_FOUND: no event in the log has the id "USER@1"; a position is 17 or CONV_0@17; what/m],
    [['2026-11-30'], /^NOT_FOUND: .*; a position is 17 or CONV_0@17; what happened at a time shows `rookery tail/m],
    [['-1'], /^NOT_FOUND: .* id "-1"; a position is 17 or CONV_0@17/m],
    [['x'.repeat(200)], /^BAD_ID: the message id/],
  ];
  for (const [args, stderr] of cases)
    t.match(await run('show', ...args), { code: 1, stdout: '', stderr }, String(args[0]));
  await append(group, says(bob, 'one'), 'shared');
  await append(direct, says(bob, 'two'), 'shared');
  t.match(await run('show', 'shared'), {
    code: 1,
    stderr: /^BAD_REQUEST: several have this id: .*: name the position/m,
  });
  t.match((await json('show', 'shared', '--conversation', direct))[0], { event: { text: 'two' } });
});

t.test('an inbox stream that is gone is named, and the rest is told', async (t) => {
  await scene.drain();
  await operator.jsm.streams.delete('INBOX_0');
  const { code, stdout } = await run('show', String(pos), '--json');
  t.equal(code, 1);
  t.match(JSON.parse(stdout), {
    inboxes: { INBOX_0: 'STREAM_MISSING' },
    fanOut: { checkpoints: [null] },
    recipients: Array,
  });
});
