/** Contacts, blocks and what one sets for oneself, as an app lives them: the SDK on two gateways, a real log, a read model. */
import t, { type Test } from 'tap';
import { codeOf, refusalOf } from '../support/code-of.ts';
import { answer, plainText, type SdkDevice, startScene } from '../support/sdk-devices.ts';
import { eventually } from '../support/waiting.ts';

const MAX_CONTACT_REQUESTS_PER_HOUR = 6;
const scene = await startScene({ maxContactRequestsPerHour: MAX_CONTACT_REQUESTS_PER_HOUR });
t.teardown(() => scene.stop());
const devices = (t: Test, ...users: string[]) => Promise.all(users.map((user) => scene.device(t, user)));

t.test('contacts: asked with a greeting, declined, accepted, ended; a flood of requests is refused', async (t) => {
  const [ada, bo] = (await devices(t, 'ada', 'bo')) as [SdkDevice, SdkDevice];
  await ada.client.requestContact('bo', 'we met at the nest').durable;
  await bo.got('contactRequested');
  t.match(bo.of('contactRequested')[0], { by: 'ada', greeting: 'we met at the nest' });
  t.equal(await refusalOf(() => ada.client.requestContact('bo').durable), 'NO_CHANGE');
  await bo.client.declineContact('ada').durable;
  await ada.got('contactDeclined');
  t.equal(await refusalOf(() => ada.client.requestContact('bo').durable), 'ASKED_BEFORE');
  await bo.client.requestContact('ada', 'I was wrong').durable;
  await ada.client.requestContact('bo').durable;
  const state = (client: SdkDevice['client']) => client.contacts().then(({ contacts }) => contacts[0]?.state);
  for (const { client } of [ada, bo])
    await answer(
      () => state(client),
      (is) => is === 'contacts',
      'contacts',
    );
  await bo.client.removeContact('ada').durable;
  await ada.got('contactRemoved');
  await answer(
    () => ada.client.contacts(),
    ({ contacts }) => contacts.length === 0,
    'contacts no more',
  );

  const codes: string[] = [];
  for (let i = 0; i < MAX_CONTACT_REQUESTS_PER_HOUR; i++)
    codes.push(await codeOf(ada.client.requestContact(`s${i}`).durable));
  t.same(codes.filter((code) => code !== 'accepted').slice(0, 1), ['TOO_MANY_CONTACT_REQUESTS'], 'one had gone to bo');
  await bo.client.sendText({ to: 'ada' }, 'all else goes on').durable;
  await ada.client.sendText({ to: 'bo' }, 'so it does').durable;
});

t.test('who is blocked hears so, and nothing of theirs reaches who blocked them', async (t) => {
  const [kim, lee] = (await devices(t, 'kim', 'lee')) as [SdkDevice, SdkDevice];
  const said = lee.client.sendText({ to: 'kim' }, 'one');
  await said.durable;
  await eventually(() => kim.timeline('direct:kim:lee').length === 1, 'it has come');
  await kim.client.sendText({ to: 'lee' }, 'two').durable;
  await kim.client.block('lee').durable;
  await kim.got('userBlocked');
  t.same(lee.of('userBlocked'), [], 'lee is not told');
  const before = kim.entries.length;
  const writings: object[] = [];
  kim.client.on('typing', (conversation) => void writings.push({ conversation }));
  lee.client.typing({ to: 'kim' });
  t.equal(await refusalOf(() => lee.client.sendText({ to: 'kim' }, 'three').durable), 'BLOCKED');
  t.equal(
    await refusalOf(() => lee.client.edit('direct:kim:lee', said.clientMsgId, plainText('won')).durable),
    'BLOCKED',
  );
  t.equal(await refusalOf(() => lee.client.requestContact('kim').durable), 'BLOCKED');
  await lee.client.markRead('direct:kim:lee', 2).durable;
  await lee.got('conversationRead');
  await kim.client.unblock('lee').durable;
  await lee.client.sendText({ to: 'kim' }, 'four').durable;
  await eventually(() => kim.timeline('direct:kim:lee').includes('four'), 'unblocked');
  t.same(
    kim.entries
      .slice(before)
      .map(({ type }) => type)
      .filter((type) => type !== 'conversationDelivered'),
    ['userUnblocked', 'message'],
  );
  t.same(writings, []);
});

t.test(
  'what one sets for oneself is on all of one’s devices: pins, mutes, drafts, marks; nobody else sees it',
  async (t) => {
    const [pam, ron] = (await devices(t, 'pam', 'ron')) as [SdkDevice, SdkDevice];
    const tablet = await scene.device(t, 'pam', { device: 'tablet' });
    await ron.client.sendText({ to: 'pam' }, 'hello').durable;
    await tablet.got('message');
    const id = 'direct:pam:ron';
    const until = Date.now() + 3_600_000;
    await pam.client.changePreferences(id, { pinned: true, mutedUntil: until, draft: 'I meant', markedUnread: true })
      .durable;
    await tablet.got('preferencesChanged');
    t.match(tablet.of('preferencesChanged')[0], {
      about: id,
      preferences: { pinned: true, mutedUntil: until, draft: 'I meant' },
    });
    const list = await answer(
      () => tablet.client.conversations(),
      ({ conversations: [one] }) => one?.preferences.pinned === true,
      'pinned',
    );
    t.match(list, {
      conversations: [{ unread: 1, preferences: { markedUnread: true } }],
      badge: { unread: 1, mutedConversations: 1 },
    });
    await tablet.client.markRead(id, 1).durable;
    await pam.got('conversationRead');
    await tablet.client.changePreferences(id, { markedUnread: false, hidden: true, draft: '' }).durable;
    await answer(
      () => pam.client.conversations(),
      ({ conversations }) => conversations.length === 0,
      'hidden',
    );
    await ron.client.sendText({ to: 'pam' }, 'again').durable;
    await answer(
      () => pam.client.conversations(),
      ({ conversations }) => conversations.length === 1,
      'shown again',
    );
    await pam.client.changePreferences(id, { archived: true }).durable;
    await answer(
      () => tablet.client.conversations({ archived: true }),
      ({ conversations }) => conversations.length === 1,
      'archived',
    );
    await pam.client.changeSettings({ quietHours: { from: 1_320, to: 420, timeZone: 'Asia/Shanghai' } }).durable;
    await answer(
      () => tablet.client.account(),
      ({ settings }) => settings.quietHours?.from === 1_320,
      'quiet hours',
    );
    t.same(ron.of('preferencesChanged'), []);
  },
);
