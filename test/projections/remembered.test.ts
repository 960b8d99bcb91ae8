import t from 'tap';
import type { SeenEvent } from '../../src/ports/fan-out-state.ts';
import { Remembered } from '../../src/projections/remembered.ts';
import { conversation, msgId, user } from '../support/given.ts';

const event = (room: string, by: string, id: string, n: number): SeenEvent => {
  const ids = { conversation: conversation(room), by: user(by), id: msgId(id) };
  return { ...ids, pos: n, n, expiresAt: 1 };
};

t.test('the same id of another conversation, or another sender, is another one; the last of each counts', async (t) => {
  const remembered = new Remembered();
  const events = [
    event('a', 'x', 'id', 1),
    event('b', 'x', 'id', 2),
    event('a', 'y', 'id', 3),
    event('ab', '', 'id', 4),
  ];
  for (const one of events) remembered.put(one);
  for (const one of events) t.equal(remembered.get(one.conversation, one.by, one.id), one);
  t.equal(remembered.get(conversation('b'), user('y'), msgId('id')), undefined);
  t.equal(remembered.get(conversation('a'), user('x'), msgId('other')), undefined);

  const [recalled, another] = [event('a', 'x', 'id', 0), event('a', 'y', 'id', 0)];
  remembered.put(recalled);
  remembered.put(another);
  t.equal(remembered.get(recalled.conversation, recalled.by, recalled.id), recalled);
  t.equal(remembered.get(another.conversation, another.by, another.id), another);
  t.same(new Set(remembered.all()), new Set([recalled, another, events[1], events[3]]));
});
