/** What ports/device-cursors.ts promises, on a real nats-server. */
import t, { type Test } from 'tap';
import { JetstreamDeviceCursors } from '../../src/adapters/jetstream/inbox/device-cursors.ts';
import { device, user } from '../support/given.ts';
import { quiet, startNats } from '../support/nats.ts';

async function scene(t: Test) {
  const nats = await startNats();
  t.teardown(() => nats.stop());
  const operator = await nats.connect('operator');
  const open = async () => {
    const { nc } = await nats.connect('gateway');
    const cursors = await JetstreamDeviceCursors.open(nc, quiet);
    t.teardown(() => cursors.drain());
    return cursors;
  };
  return { open, operator };
}

const [phone, laptop] = [device('手机 .*>~'), device('laptop')];

t.test('what was confirmed is there after a drain, for another process too', async (t) => {
  const { open } = await scene(t);
  const cursors = await open();
  t.equal(await cursors.get(user('alice'), phone), undefined);
  cursors.confirm(user('alice'), phone, { epoch: 'e', seq: 5 });
  cursors.confirm(user('alice'), laptop, { epoch: 'e', seq: 7 });
  cursors.confirm(user('~alice'), laptop, { epoch: 'e', seq: 9 });
  await cursors.drain();
  const other = await open();
  t.same(await other.get(user('alice'), phone), { epoch: 'e', seq: 5 });
  t.same(await other.get(user('alice'), laptop), { epoch: 'e', seq: 7 });
  t.same(await other.get(user('~alice'), laptop), { epoch: 'e', seq: 9 });
});

t.test('many confirms of one device are one write, of the newest', async (t) => {
  const { open, operator } = await scene(t);
  const cursors = await open();
  for (let seq = 1; seq <= 1_000; seq++) cursors.confirm(user('alice'), phone, { epoch: 'e', seq });
  cursors.confirm(user('alice'), phone, { epoch: 'e', seq: 3 });
  await cursors.drain();
  t.same(await cursors.get(user('alice'), phone), { epoch: 'e', seq: 1_000 });
  t.equal((await operator.jsm.streams.info('KV_cursors')).state.last_seq, 1);
});

t.test('a cursor of another epoch counts, however small', async (t) => {
  const { open } = await scene(t);
  const cursors = await open();
  cursors.confirm(user('alice'), phone, { epoch: 'old', seq: 1_000 });
  cursors.confirm(user('alice'), phone, { epoch: 'new', seq: 3 });
  await cursors.drain();
  t.same(await cursors.get(user('alice'), phone), { epoch: 'new', seq: 3 });
});

t.test('what is confirmed while a write is under way is not left behind', async (t) => {
  const { open } = await scene(t);
  const cursors = await open();
  cursors.confirm(user('alice'), phone, { epoch: 'e', seq: 1 });
  const draining = cursors.drain();
  cursors.confirm(user('alice'), phone, { epoch: 'e', seq: 2 });
  await draining;
  t.same(await cursors.get(user('alice'), phone), { epoch: 'e', seq: 2 });
});
