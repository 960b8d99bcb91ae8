/** Whom a command may put into a group, by what can be learned of each. */
import t from 'tap';
import { type MayWrite, refuseUnwilling } from '../../src/application/gateway/willing.ts';
import type { ConversationEvent } from '../../src/domain/conversation.ts';
import type { UserId } from '../../src/domain/ids.ts';
import { NO_ROSTER } from '../../src/domain/roster.ts';
import { codeOf } from '../support/code-of.ts';
import { msgId, user, users } from '../support/given.ts';

const [alice, bob, carol] = users('alice', 'bob', 'carol') as [UserId, UserId, UserId];
const adds = (...members: UserId[]): ConversationEvent => ({
  type: 'membersAdded',
  by: alice,
  id: msgId('a'),
  members,
});

/** @param answers of those who do not take it */
function asking(answers: Record<string, false | undefined> = {}) {
  const asked: UserId[] = [];
  const atOnce = { now: 0, most: 0 };
  const mayWrite: MayWrite = async (_by, other) => {
    asked.push(other);
    atOnce.most = Math.max(atOnce.most, ++atOnce.now);
    await Promise.resolve();
    atOnce.now -= 1;
    return other in answers ? answers[other] : true;
  };
  return { asked, atOnce, mayWrite };
}

t.test('one who is unwilling is enough, and neither they nor the reason are named', async (t) => {
  const { mayWrite } = asking({ carol: false });
  t.equal(await codeOf(refuseUnwilling(adds(bob), undefined, mayWrite)), 'accepted');
  t.equal(await codeOf(refuseUnwilling(adds(bob, carol), undefined, mayWrite)), 'CANNOT_BE_ADDED');
  const told = await refuseUnwilling(adds(bob, carol), undefined, mayWrite).catch(({ message }) => message);
  t.notMatch(told, /carol|block/);
});

t.test('who is there, who has asked to come, and oneself are not asked about', async (t) => {
  const { asked, mayWrite } = asking();
  const roster = { ...NO_ROSTER, members: new Map([[bob, 'member'] as const]), requests: new Set([carol]) };
  await refuseUnwilling(adds(alice, bob, carol, user('dave'), user('dave')), roster, mayWrite);
  t.same(asked, ['dave']);
  await refuseUnwilling({ type: 'membersRemoved', by: alice, id: msgId('r'), members: [bob] }, undefined, mayWrite);
  t.same(asked, ['dave'], 'nor where nobody comes in');
});

t.test('of a thousand some are asked about at once, each once; where nobody can tell, no more are', async (t) => {
  const many = Array.from({ length: 1_000 }, (_, i) => user(`u${i}`));
  const all = asking();
  await refuseUnwilling(adds(...many), undefined, all.mayWrite);
  t.same(all.asked.toSorted(), many.toSorted());
  t.equal(all.atOnce.most, 32);
  const silent = asking(Object.fromEntries(many.map((one) => [one, undefined])));
  t.equal(await codeOf(refuseUnwilling(adds(...many), undefined, silent.mayWrite)), 'accepted');
  t.equal(silent.asked.length, 32);
});
