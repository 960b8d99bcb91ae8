/** What the gateway decides on views that may be stale, and how retries and races end: on a real gateway and worker. */
import t from 'tap';
import { RawClient, startTestGateway } from '../support/gateway.ts';
import { eventually } from '../support/waiting.ts';

const { gateway, more, stop } = await startTestGateway();
t.teardown(stop);
const other = await more();

const text = { contentType: 'text/plain', body: Buffer.from('hello') };
let ids = 0;
const message = (to: object): object => ({ t: 'send', clientMsgId: `m${++ids}`, ...text, ...to });
const command = (fields: object, clientMsgId = `c${++ids}`): object => ({ t: 'command', clientMsgId, command: fields });

async function groupOf(name: string, owner: RawClient, members: string[]): Promise<{ conversation: string }> {
  const answer = await owner.askUntilTaken(command({ type: 'createGroup', conversation: name, name, members }));
  t.match(answer, { t: 'done' });
  return { conversation: name };
}

t.test('a command sent again is answered with where it stands, at once, at the same time, and later', async (t) => {
  const owner = await RawClient.greeted(gateway, 'owner');
  const team = { conversation: 'team' };
  const create = command({ type: 'createGroup', ...team, name: 'n', members: ['bob'] }, 'create');
  const answers = await Promise.all(Array.from({ length: 5 }, () => owner.askUntilTaken(create)));
  t.same(new Set(answers.map((answer) => `${answer.t} ${answer.pos}`)).size, 1, 'all with one position');
  for (const type of ['addMembers', 'removeMembers']) {
    const change = command({ type, ...team, members: ['carol'] });
    const first = await owner.askUntilTaken(change);
    t.match(first, { t: 'done' });
    t.match(await owner.askUntilTaken(change), { t: 'done', pos: first.pos, duplicate: true });
  }
  await eventually(() => owner.entries.length >= 3, 'all is folded');
  t.match(
    await owner.askUntilTaken(create),
    { t: 'done', pos: answers[0]?.pos, duplicate: true },
    'not CONVERSATION_EXISTS',
  );
  const taken = command({ type: 'createGroup', ...team, name: 'n', members: [] });
  t.equal(await owner.outcome(taken), 'CONVERSATION_EXISTS');
  t.same(
    owner.entries.map(({ type }) => type),
    ['groupCreated', 'membersAdded', 'membersRemoved'],
    'each happened once',
  );
  owner.end();
});

t.test('changes by two admins at once happen one after the other, each once', async (t) => {
  const [owner, admin] = [await RawClient.greeted(gateway, 'o2'), await RawClient.greeted(other, 'a2')];
  const group = await groupOf('race', owner, ['a2']);
  t.match(await owner.askUntilTaken(command({ type: 'changeRole', ...group, member: 'a2', role: 'admin' })), {
    t: 'done',
  });
  const rename = (name: string): object => command({ type: 'renameGroup', ...group, name });
  const answers = await Promise.all([0, 1, 2].flatMap((k) => [owner.ask(rename(`o${k}`)), admin.ask(rename(`a${k}`))]));
  const done = answers.filter(({ t: type }) => type === 'done');
  t.ok(done.length >= 1, 'somebody won');
  for (const answer of answers) if (answer.t !== 'done') t.match(answer, { code: 'CONFLICT' });
  await eventually(() => owner.entries.filter(({ type }) => type === 'groupRenamed').length >= done.length, 'folded');
  t.same(
    owner.entries.filter(({ type }) => type === 'groupRenamed').map(({ pos }) => pos),
    done.map(({ pos }) => pos as number).sort((a, b) => a - b),
    'what was done is what all see',
  );
  owner.end();
  admin.end();
});

t.test('who was just added may speak, whatever view their gateway had', async (t) => {
  const [owner, late] = [await RawClient.greeted(gateway, 'o3'), await RawClient.greeted(other, 'late')];
  const group = await groupOf('late group', owner, []);
  await eventually(() => owner.entries.length === 1, 'the group is folded');
  t.equal(await late.outcome(message(group)), 'NOT_A_MEMBER', 'the other gateway has a view without them');
  t.match(await owner.askUntilTaken(command({ type: 'addMembers', ...group, members: ['late'] })), { t: 'done' });
  await eventually(() => late.entries.some(({ type }) => type === 'membersAdded'), 'they are told');
  t.match(await late.askUntilTaken(message(group)), { t: 'sent' });
  await eventually(() => owner.entries.some(({ by, type }) => by === 'late' && type === 'message'), 'it arrives');
  owner.end();
  late.end();
});

t.test('who was removed is refused with one code, by the gateway or by the fold', async (t) => {
  const [owner, gone] = [await RawClient.greeted(gateway, 'o4'), await RawClient.greeted(other, 'gone')];
  const group = await groupOf('leaving', owner, ['gone']);
  t.match(await gone.ask(message(group)), { t: 'sent' });
  let refused: unknown;
  const removing = owner.askUntilTaken(command({ type: 'removeMembers', ...group, members: ['gone'] }));
  const sent: unknown[] = [];
  while (refused === undefined) {
    const request = message(group) as { clientMsgId: string };
    const answer = await gone.ask(request);
    if (answer.t === 'error') refused = answer.code;
    else sent.push(request.clientMsgId);
  }
  t.equal(refused, 'NOT_A_MEMBER');
  t.match(await removing, { t: 'done' });
  const outcome = (id: unknown) => gone.entries.find((entry) => entry.id === id);
  await eventually(() => sent.every((id) => outcome(id)), 'each accepted message is seen or returned');
  for (const id of sent) {
    const entry = outcome(id);
    if (entry?.type !== 'message') t.match(entry, { type: 'rejected', code: 'NOT_A_MEMBER' });
  }
  owner.end();
  gone.end();
});

t.test('a block holds until it is taken back, and a second one changes nothing', async (t) => {
  const [alice, mallory] = [await RawClient.greeted(gateway, 'alice'), await RawClient.greeted(other, 'mallory')];
  t.match(await mallory.ask(message({ to: 'alice' })), { t: 'sent' });
  const block = command({ type: 'blockUser', user: 'mallory' });
  const blocked = await alice.askUntilTaken(block);
  t.match(blocked, { t: 'done' });
  t.match(await alice.askUntilTaken(block), { t: 'done', pos: blocked.pos, duplicate: true });
  await eventually(async () => (await mallory.outcome(message({ to: 'alice' }))) === 'BLOCKED', 'it takes effect');
  t.equal(await alice.outcome(command({ type: 'blockUser', user: 'mallory' })), 'NO_CHANGE');
  t.match(await alice.ask(message({ to: 'mallory' })), { t: 'sent' }, 'who blocks may still write');
  t.match(await alice.askUntilTaken(command({ type: 'unblockUser', user: 'mallory' })), { t: 'done' });
  await eventually(async () => (await mallory.outcome(message({ to: 'alice' }))) === 'taken', 'they may write again');
  alice.end();
  mallory.end();
});

t.test('a message sent again is one message, also while the first is under way', async (t) => {
  const [alice, bob] = [await RawClient.greeted(gateway, 'a6'), await RawClient.greeted(gateway, 'b6')];
  const once = message({ to: 'b6' });
  const answers = await Promise.all([alice.ask(once), alice.ask(once), alice.ask(once)]);
  t.equal(new Set(answers.map(({ pos }) => pos)).size, 1);
  t.same(answers.map(({ duplicate }) => duplicate === true).sort(), [false, true, true]);
  t.match(await alice.ask(message({ to: 'b6' })), { t: 'sent' });
  await eventually(() => bob.entries.length >= 2, 'both are delivered');
  t.same(
    bob.entries.map(({ n }) => n),
    [1, 2],
  );
  alice.end();
  bob.end();
});

t.test('a UUIDv7 the fold may have forgotten is refused by the gateway as the fold would', async (t) => {
  const alice = await RawClient.greeted(gateway, 'a7');
  const old = '017f22e2-79b0-7cc3-98c4-dc0c0c07398f';
  t.equal(await alice.outcome({ ...message({ to: 'b7' }), clientMsgId: old }), 'MESSAGE_ID_EXPIRED');
  t.equal(
    await alice.outcome(command({ type: 'createGroup', conversation: 'x7', name: 'x', members: [] }, old)),
    'MESSAGE_ID_EXPIRED',
  );
  alice.end();
});

t.test(
  'what was said is edited and recalled, also right behind the saying, and refused by the fold what cannot be',
  async (t) => {
    const [owner, guest] = [await RawClient.greeted(gateway, 'o9'), await RawClient.greeted(other, 'g9')];
    const group = await groupOf('words', owner, ['g9']);
    guest.send({ ...message(group), id: 1, clientMsgId: 'first' });
    const edited = await guest.askUntilTaken(command({ type: 'editMessage', ...group, target: 'first', ...text }));
    t.match(edited, { t: 'done' });
    t.match(await owner.askUntilTaken(command({ type: 'editMessage', ...group, target: 'first', ...text })), {
      t: 'done',
    });
    t.equal(
      await guest.outcome(command({ type: 'recallMessage', ...group, target: 'none', sender: 'o9' })),
      'NOT_ALLOWED',
    );
    t.match(await owner.askUntilTaken(command({ type: 'recallMessage', ...group, target: 'first', sender: 'g9' })), {
      t: 'done',
    });
    await eventually(() => guest.entries.at(-1)?.type === 'messageRecalled', 'the recall');
    t.match(guest.entries.slice(1), [
      { type: 'message', n: 2, id: 'first' },
      { type: 'messageEdited', target: { by: 'g9', id: 'first' }, body: text.body },
      { type: 'messageRecalled', target: { by: 'g9', id: 'first' }, by: 'o9' },
    ]);
    await eventually(
      () => owner.entries.some(({ type }) => type === 'rejected'),
      'the owner has no message of that id',
    );
    t.match(
      owner.entries.find(({ type }) => type === 'rejected'),
      { code: 'MESSAGE_GONE' },
    );
    for (const client of [owner, guest]) client.end();
  },
);

t.test('a group’s ways in and its silence, from command to entry', async (t) => {
  const [owner, guest] = [await RawClient.greeted(gateway, 'o10'), await RawClient.greeted(other, 'g10')];
  const group = await groupOf('door', owner, []);
  const invite = 'open-sesame-open-sesame';
  t.equal(await guest.outcome(command({ type: 'joinGroup', ...group })), 'NOT_A_MEMBER');
  t.equal(await guest.outcome(command({ type: 'joinGroup', ...group, invite })), 'INVITE_INVALID');
  t.equal(await guest.outcome(command({ type: 'joinGroup', ...group, invite: 'short' })), 'BAD_REQUEST');
  t.match(await owner.askUntilTaken(command({ type: 'createInvite', ...group, invite, maxUses: 1 })), { t: 'done' });
  const join = async () => (await guest.askUntilTaken(command({ type: 'joinGroup', ...group, invite }))).t === 'done';
  await eventually(join, 'the invite is folded and used');
  await eventually(() => guest.entries.some(({ type }) => type === 'memberJoined'), 'in');
  t.match(await owner.askUntilTaken(command({ type: 'changeGroup', ...group, settings: { mutedAll: true } })), {
    t: 'done',
  });
  await eventually(() => guest.entries.some(({ type }) => type === 'groupChanged'), 'silence');
  t.equal(await guest.outcome(message(group)), 'MUTED');
  t.match(await guest.askUntilTaken({ t: 'query', query: { type: 'conversation', ...group } }), {
    result: { settings: { mutedAll: true, joinPolicy: 'closed' } },
  });
  t.equal(await owner.outcome(command({ type: 'changeGroup', ...group, settings: {} })), 'BAD_REQUEST');
  t.match(await owner.askUntilTaken(command({ type: 'changeGroup', ...group, settings: { joinPolicy: 'ajar' } })), {
    code: 'BAD_REQUEST',
  });
  for (const client of [owner, guest]) client.end();
});

t.test('contacts and preferences, from command to the devices they concern', async (t) => {
  const [one, two] = [await RawClient.greeted(gateway, 'p1'), await RawClient.greeted(other, 'p2')];
  const second = await RawClient.greeted(other, 'p1', 'tablet');
  t.match(await one.askUntilTaken(command({ type: 'requestContact', user: 'p2', greeting: 'hello' })), { t: 'done' });
  await eventually(() => two.entries.some(({ type }) => type === 'contactRequested'), 'the request');
  t.match(two.entries.at(-1), { type: 'contactRequested', by: 'p1', greeting: 'hello' });
  t.match(await two.askUntilTaken(command({ type: 'declineContact', user: 'p1' })), { t: 'done' });
  await eventually(() => one.entries.some(({ type }) => type === 'contactDeclined'), 'the answer');
  t.equal(await one.outcome(command({ type: 'requestContact', user: 'p2' })), 'ASKED_BEFORE');

  const set = (preferences: object, about = '') =>
    one.askUntilTaken(command({ type: 'changePreferences', about, preferences }));
  t.match(await set({ mutedUntil: -1 }), { t: 'done' });
  t.match(await set({ draft: '写到一半', pinned: true }, 'direct:p1:p2'), { t: 'done' });
  await eventually(() => second.entries.filter(({ type }) => type === 'preferencesChanged').length === 2, 'both');
  t.match(second.entries.at(-1), { about: 'direct:p1:p2', preferences: { draft: '写到一半', pinned: true } });
  t.notOk(
    two.entries.some(({ type }) => type === 'preferencesChanged'),
    'nobody else’s business',
  );
  const wrong: object[] = [
    {},
    { pinned: 1 },
    { __proto__: null, toString: true },
    { draft: 'x'.repeat(9_000) },
    { labels: [1] },
    { mutedUntil: -2 },
  ];
  for (const preferences of wrong) t.match(await set(preferences), { code: 'BAD_REQUEST' });
  for (const client of [one, two, second]) client.end();
});

t.test('a group of thousands with the longest ids is spoken to, asked about and led like any other', async (t) => {
  const owner = await RawClient.greeted(gateway, 'o11');
  const id = (i: number): string => String(i).padStart(128, 'm');
  const last = await RawClient.greeted(other, id(5_000));
  const group = await groupOf('crowd', owner, []);
  for (let k = 0; k < 6; k++) {
    const members = Array.from({ length: 1_000 }, (_, i) => id(k * 1_000 + i + 1));
    const added = await owner.askUntilTaken(command({ type: 'addMembers', ...group, members }));
    t.match(added, { t: 'done' }, 'a thousand more');
  }
  await eventually(() => last.entries.some(({ type }) => type === 'membersAdded'), 'the last one is in');
  t.match(await last.askUntilTaken(message(group)), { t: 'sent' });
  t.equal(await last.outcome(command({ type: 'renameGroup', ...group, name: 'no' })), 'NOT_ALLOWED');
  t.equal(await owner.outcome(command({ type: 'leaveGroup', ...group })), 'OWNER_MUST_HAND_OVER');
  t.equal(await owner.outcome(command({ type: 'addMembers', ...group, members: [id(17)] })), 'ALREADY_A_MEMBER');
  const answers = await Promise.all(
    Array.from({ length: 50 }, () => last.askUntilTaken({ t: 'query', query: { type: 'conversation', ...group } })),
  );
  for (const { result } of answers) t.match(result, { memberCount: 6_001, kind: 'group' });
  const [{ members } = { members: [] }] = answers.map(({ result }) => result as { members: { user: string }[] });
  t.ok(members.length <= 500 && members.some(({ user }) => user === id(5_000)), 'who asks is among those told');
  const stranger = await RawClient.greeted(gateway, 'stranger');
  t.equal(await stranger.outcome(message(group)), 'NOT_A_MEMBER');
  for (const client of [owner, last, stranger]) client.end();
});

t.test(
  'a command right behind the ack of another, or behind its sending, is decided on what that one made',
  async (t) => {
    const owner = await RawClient.greeted(gateway, 'o12');
    for (let i = 0; i < 40; i++) {
      const group = { conversation: `swift ${i}` };
      const steps: [object, object][] = [
        [command({ type: 'createGroup', ...group, name: 'n', members: [] }), { t: 'done' }],
        [command({ type: 'addMembers', ...group, members: ['g12'] }), { t: 'done' }],
        [message(group), { t: 'sent' }],
        [command({ type: 'renameGroup', ...group, name: 'new' }), { t: 'done' }],
        [{ t: 'query', query: { type: 'conversation', ...group } }, { result: { name: 'new', memberCount: 2 } }],
        [command({ type: 'blockUser', user: `x${i}` }), { t: 'done' }],
        [command({ type: 'unblockUser', user: `x${i}` }), { t: 'done' }],
      ];
      if (i % 2 === 0) {
        for (const [request, answer] of steps) t.match(await owner.askUntilTaken(request), answer, `one by one, ${i}`);
      } else {
        // All at once; a query is no change, so it does not wait for those under way.
        const changes = steps.filter(([, answer]) => 't' in answer);
        const answers = await Promise.all(changes.map(([request]) => owner.askUntilTaken(request)));
        for (const [k, [, answer]] of changes.entries()) t.match(answers[k], answer, `at once, ${i}`);
      }
    }
    const refused = await eventually(() => owner.entries.length >= 40 * 6 - 40 && owner.entries, 'all is folded');
    t.notOk(
      refused.some(({ type }) => type === 'rejected'),
      'nor did the fold refuse any',
    );
    owner.end();
  },
);
