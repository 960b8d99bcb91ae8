/** Groups and what stands in them, as an app lives them: the SDK on two gateways, a real log, a read model. */
import t, { type Test } from 'tap';
import { codeOf, refusalOf } from '../support/code-of.ts';
import { answer, plainText, type SdkDevice, startScene, textOf } from '../support/sdk-devices.ts';
import { eventually } from '../support/waiting.ts';

const scene = await startScene();
t.teardown(() => scene.stop());
const devices = (t: Test, ...users: string[]) => Promise.all(users.map((user) => scene.device(t, user)));

t.test('a group from its making to its end, each change an entry in its order for all', async (t) => {
  const [ann, ben, cleo] = (await devices(t, 'ann', 'ben', 'cleo')) as [SdkDevice, SdkDevice, SdkDevice];
  const done = (sending: { durable: Promise<unknown> }) => sending.durable;
  await done(ann.client.createGroup('g1', 'G1', ['ben', 'cleo']));
  t.equal(await refusalOf(() => done(ben.client.renameGroup('g1', 'Mine'))), 'NOT_ALLOWED');
  await done(ann.client.changeRole('g1', 'ben', 'admin'));
  await done(ben.client.renameGroup('g1', 'Ours'));
  await done(ben.client.changeGroup('g1', { announcement: 'Nest at six', description: 'of rooks' }));
  await done(ben.client.muteMember('g1', 'cleo', Date.now() + 3_600_000));
  t.equal(await refusalOf(() => done(cleo.client.sendText({ conversation: 'g1' }, 'psst'))), 'MUTED');
  t.equal(await refusalOf(() => done(ben.client.muteMember('g1', 'ann', Date.now() + 3_600_000))), 'NOT_ALLOWED');
  await done(ben.client.muteMember('g1', 'cleo', 0));
  await done(cleo.client.sendText({ conversation: 'g1' }, 'thanks'));
  await done(ann.client.changeGroup('g1', { mutedAll: true }));
  t.equal(await refusalOf(() => done(cleo.client.sendText({ conversation: 'g1' }, 'all?'))), 'MUTED');
  await done(ben.client.sendText({ conversation: 'g1' }, 'admins speak'));
  t.equal(await refusalOf(() => done(ann.client.leaveGroup('g1'))), 'OWNER_MUST_HAND_OVER');
  await done(ann.client.changeRole('g1', 'ben', 'owner'));
  t.match(await ben.client.conversation('g1'), {
    members: [{ user: 'ann', role: 'admin' }, { user: 'ben', role: 'owner' }, {}],
  });
  await done(ann.client.leaveGroup('g1'));
  t.equal(await refusalOf(() => done(ann.client.sendText({ conversation: 'g1' }, 'still?'))), 'NOT_A_MEMBER');
  await done(ben.client.removeMembers('g1', ['cleo']));
  await done(ben.client.dissolveGroup('g1'));
  t.equal(await refusalOf(() => done(ben.client.sendText({ conversation: 'g1' }, 'gone'))), 'CONVERSATION_DISSOLVED');
  const all = [
    ...['groupCreated', 'roleChanged', 'groupRenamed', 'groupChanged', 'memberMuted', 'memberMuted', 'thanks'],
    ...['groupChanged', 'admins speak', 'roleChanged', 'memberLeft', 'membersRemoved', 'groupDissolved'],
  ];
  await ben.got('groupDissolved');
  t.same(ben.timeline('g1'), all);
  await cleo.got('membersRemoved');
  t.same(cleo.timeline('g1'), all.slice(0, -1), 'who is removed sees that, and nothing after');
  t.same(ann.timeline('g1'), all.slice(0, -2));
  const past = await answer(
    () => ben.client.history('g1'),
    ({ entries }) => entries.length === all.length,
    'all of it',
  );
  t.same(past.entries.map(textOf), all, 'and the past tells the same');
  t.equal((await ann.client.history('g1')).entries.at(-1)?.type, 'memberLeft');
});

t.test(
  'into a group by asking or by an invite, as often and as long as it counts; neither is a way to probe for groups',
  async (t) => {
    const [owner, admin, one, two, three] = (await devices(t, 'owner', 'admin', 'one', 'two', 'three')) as [
      SdkDevice,
      SdkDevice,
      SdkDevice,
      SdkDevice,
      SdkDevice,
    ];
    await owner.client.createGroup('g2', 'G2', ['admin']).durable;
    await owner.client.changeRole('g2', 'admin', 'admin').durable;
    for (const group of ['g2', 'no-such-group']) {
      t.equal(await refusalOf(() => one.client.requestToJoin(group).durable), 'NOT_A_MEMBER');
      t.equal(await refusalOf(() => one.client.joinGroup(group).durable), 'NOT_A_MEMBER');
      t.equal(await refusalOf(() => one.client.joinGroup(group, 'a-guess-of-16-characters').durable), 'INVITE_INVALID');
      t.equal(await refusalOf(() => one.client.conversation(group)), 'NOT_A_MEMBER');
      t.equal(await refusalOf(() => one.client.history(group)), 'NOT_A_MEMBER');
    }

    await owner.client.changeGroup('g2', { joinPolicy: 'approval' }).durable;
    await one.client.requestToJoin('g2', 'let me in').durable;
    t.equal(await refusalOf(() => one.client.requestToJoin('g2').durable), 'NO_CHANGE');
    await two.client.requestToJoin('g2').durable;
    for (const who of [owner, admin]) await who.got('joinRequested', 2);
    t.match(admin.of('joinRequested')[0], { by: 'one', greeting: 'let me in' });
    t.same((await admin.client.conversation('g2')).requests, ['one', 'two'], 'also for an admin’s new device');
    await admin.client.declineJoin('g2', 'two').durable;
    await two.got('joinDeclined');
    await owner.client.addMembers('g2', ['one']).durable;
    await one.got('membersAdded');
    await one.client.sendText({ conversation: 'g2' }, 'here I am').durable;
    t.equal(await refusalOf(() => one.client.declineJoin('g2', 'two').durable), 'NOT_ALLOWED');
    t.same(
      [(await owner.client.conversation('g2')).requests, (await one.client.conversation('g2')).requests],
      [[], undefined],
    );

    t.equal(await refusalOf(() => one.client.createInvite('g2').durable), 'NOT_ALLOWED');
    const [once, late] = [
      owner.client.createInvite('g2', { maxUses: 1 }),
      admin.client.createInvite('g2', { expiresAt: 1 }),
    ];
    await Promise.all([once.durable, late.durable]);
    const listed = await owner.client.conversation('g2');
    t.same(listed.invites, [{ invite: once.invite, expiresAt: 0, usesLeft: 1 }], 'what can be used');
    t.equal((await one.client.conversation('g2')).invites, undefined, 'is the admins’ secret');
    t.equal(await refusalOf(() => two.client.joinGroup('g2', late.invite).durable), 'INVITE_INVALID', 'expired');
    await two.client.joinGroup('g2', once.invite).durable;
    t.equal(await refusalOf(() => three.client.joinGroup('g2', once.invite).durable), 'INVITE_INVALID', 'used up');
    const revoked = owner.client.createInvite('g2');
    await owner.client.revokeInvite('g2', revoked.invite).durable;
    t.equal(await refusalOf(() => three.client.joinGroup('g2', revoked.invite).durable), 'INVITE_INVALID', 'revoked');
    await two.got('memberJoined');
    t.notOk('invite' in (two.of('memberJoined')[0] ?? {}), 'by which one is not told');
    t.same(two.of('inviteCreated'), []);
  },
);

t.test('who joins an open group is among its members, which come page by page, who leads it first', async (t) => {
  const [owner, three] = (await devices(t, 'owner', 'three')) as [SdkDevice, SdkDevice];
  await owner.client.changeGroup('g2', { joinPolicy: 'open' }).durable;
  await three.client.joinGroup('g2').durable;
  await owner.got('memberJoined', 2);
  t.equal((await three.client.conversation('g2')).memberCount, 5);
  const pages: string[] = [];
  for (let cursor: string | undefined; ; ) {
    const page = await answer(
      () => owner.client.members('g2', { limit: 2, ...(cursor !== undefined && { cursor }) }),
      ({ memberCount }) => memberCount === 5,
      'all five are in',
    );
    pages.push(...page.members.map(({ user }) => user));
    if ((cursor = page.cursor) === undefined) break;
  }
  t.same(pages, ['owner', 'admin', 'one', 'three', 'two']);
});

t.test(
  'newcomers see of the past what the group showed when they came: in its history, and in what comes of it',
  async (t) => {
    const [host, early, late] = (await devices(t, 'host', 'early', 'late')) as [SdkDevice, SdkDevice, SdkDevice];
    await host.client.createGroup('g3', 'G3', []).durable;
    const first = host.client.sendText({ conversation: 'g3' }, 'befroe');
    await first.durable;
    await host.client.addMembers('g3', ['early']).durable;
    await host.client.changeGroup('g3', { newcomersSee: 'everything' }).durable;
    await host.client.addMembers('g3', ['late']).durable;
    await host.client.edit('g3', first.clientMsgId, plainText('before')).durable;
    await host.client.sendText({ conversation: 'g3' }, 'after').durable;
    for (const who of [early, late]) await eventually(() => who.timeline('g3').includes('after'), 'it has come');
    t.same(early.timeline('g3'), ['membersAdded', 'groupChanged', 'membersAdded', 'after']);
    t.same(late.timeline('g3'), ['membersAdded', 'after'], 'the inbox begins with joining for both');
    t.equal(late.of('messageEdited').length, 1, 'who may see the message gets its edit');
    t.same(early.of('messageEdited'), []);
    const seen = async ({ client }: SdkDevice) =>
      (
        await answer(
          () => client.history('g3'),
          ({ entries }) => textOf(entries.at(-1)) === 'after',
          'read',
        )
      ).entries.map(textOf);
    t.same(await seen(early), ['membersAdded', 'groupChanged', 'membersAdded', 'after']);
    t.same(await seen(late), ['groupCreated', 'before', 'membersAdded', 'groupChanged', 'membersAdded', 'after']);
    t.same((await early.client.search('before')).hits, []);
    t.equal((await late.client.search('before')).hits.length, 1);
  },
);

t.test('around a message: reply, mentions, edits with their past, recall by its sender and by admins', async (t) => {
  const [una, vic, wil] = (await devices(t, 'una', 'vic', 'wil')) as [SdkDevice, SdkDevice, SdkDevice];
  await una.client.createGroup('g4', 'G4', ['vic', 'wil']).durable;
  const say = (who: SdkDevice, text: string, more: object = {}) =>
    who.client.send({ conversation: 'g4' }, { ...plainText(text), ...more });
  const [asked, unknown] = [
    say(vic, 'helo', { mentions: ['wil'] }),
    say(vic, '☃', { contentType: 'application/x-snow', keyId: 'k1' }),
  ];
  await Promise.all([asked.durable, unknown.durable]);
  await say(una, 'yes', { replyTo: 2, mentionsAll: true }).durable;
  const mine = () =>
    answer(
      () => wil.client.conversations(),
      ({ conversations: [one] }) => one?.lastIndex === 4,
      'all four',
    );
  t.match((await mine()).conversations, [{ unread: 3, mentions: 2 }]);
  t.match(
    wil.entries.find((entry) => 'n' in entry && entry.n === 3),
    { contentType: 'application/x-snow', keyId: 'k1' },
  );
  t.match(
    wil.entries.find((entry) => 'n' in entry && entry.n === 4),
    { replyTo: 2, mentionsAll: true },
  );
  t.equal(
    await codeOf(wil.client.edit('g4', asked.clientMsgId, plainText('mine')).durable),
    'accepted',
    'none of that name is wil’s',
  );
  await wil.got('rejected');
  t.match(wil.of('rejected')[0], { code: 'MESSAGE_GONE' });
  await vic.client.edit('g4', asked.clientMsgId, plainText('hello')).durable;
  const edits = await answer(
    () => wil.client.edits('g4', 2),
    ({ versions }) => versions.length === 2,
    'edited',
  );
  t.same(
    edits.versions.map(({ body }) => new TextDecoder().decode(body)),
    ['helo', 'hello'],
  );
  t.match((await mine()).conversations, [{ mentions: 1 }], 'the edit names nobody');
  t.equal(await refusalOf(() => wil.client.recall('g4', asked.clientMsgId, 'vic').durable), 'NOT_ALLOWED');
  await una.client.recall('g4', asked.clientMsgId, 'vic').durable;
  await vic.client.recall('g4', unknown.clientMsgId).durable;
  await wil.got('messageRecalled', 2);
  const past = await answer(
    () => wil.client.history('g4'),
    ({ entries }) => 'recalled' in (entries[2] ?? {}),
    'recalled',
  );
  t.match(past.entries.slice(1, 3), [{ recalled: { by: 'una' } }, { recalled: { by: 'vic' } }]);
  t.same((await wil.client.edits('g4', 2)).versions, [], 'and no version of it is left');
  t.match((await mine()).conversations, [{ unread: 1, mentions: 1 }]);
  await vic.client.markRead('g4', 4).durable;
  const read = await answer(
    () => una.client.receipts('g4', 4),
    ({ count }) => count === 1,
    'read',
  );
  t.match(read, { memberCount: 3, readers: [{ user: 'vic', upTo: 4 }] });
});
