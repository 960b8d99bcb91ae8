/** Who is there: online, last seen, or not to be seen. */
import t from 'tap';
import { isConnected, openDirect, say, startWeb } from '../support/web.ts';

const web = await startWeb();
t.teardown(() => web.stop());

t.test('who is online has a dot; who was is last seen at a time; who hides is known by their id alone', async (t) => {
  const [alice, bob] = [await web.person(t, 'alice'), await web.person(t, 'bob')];
  await openDirect(bob, 'bob', 'alice');
  await say(bob, 'here I am');
  const row = alice.locator('.row', { hasText: 'here I am' });
  await row.locator('.online-dot').waitFor();
  await row.locator('.row-link').click();
  const under = alice.locator('.conversation .bar-under');
  await under.getByText('online', { exact: true }).waitFor();
  await alice.locator('.conversation .bar-who .online-dot').waitFor();

  await bob.getByRole('button', { name: 'Settings' }).click();
  await bob.getByLabel('Who may see when I am online').selectOption('nobody');
  await under.getByText('bob', { exact: true }).waitFor();
  await row.locator('.online-dot').waitFor({ state: 'detached' });
  await bob.getByLabel('Who may see when I am online').selectOption('everybody');
  await under.getByText('online', { exact: true }).waitFor();

  await bob.context().close();
  await under.getByText(/^last seen at \d\d:\d\d$/).waitFor();
  await row.locator('.online-dot').waitFor({ state: 'detached' });
  const again = await web.person(t, 'bob');
  await isConnected(again);
  await under.getByText('online', { exact: true }).waitFor();

  await alice.routeWebSocket('**/v1/ws', (socket) => socket.close());
  await alice.reload();
  await alice.getByText('Offline.').waitFor();
  await under.getByText('bob', { exact: true }).waitFor();
  t.equal(await alice.locator('.online-dot').count(), 0, 'without a connection nobody knows');
});

t.test('a device is known by its browser, renamed, and signed out by another one of the same person', async (t) => {
  const [here, there] = [await web.person(t, 'nora'), await web.person(t, 'nora')];
  for (const page of [here, there]) await isConnected(page);
  await here.getByRole('button', { name: 'Settings' }).click();
  const devices = here.locator('.panel .card', { hasText: /Chrome on Linux|Attic/ });
  await devices.nth(1).waitFor();
  const other = devices.filter({ hasNotText: 'This device' });
  await other.getByText('online', { exact: true }).waitFor();
  await other.getByRole('button', { name: 'Rename Chrome on Linux' }).click();
  await here.getByLabel('Name of the device').fill('Attic');
  await here.keyboard.press('Enter');
  await here.getByRole('button', { name: 'Sign out Attic' }).click();
  await there.getByText('Connected', { exact: true }).waitFor();
  await here.getByRole('button', { name: 'Sign out Attic' }).filter({ hasText: 'Sure?' }).click();
  await there.getByText('This device was signed out.').waitFor();
  await here.locator('.panel .card', { hasText: 'Attic' }).waitFor({ state: 'detached' });
  await here.locator('.panel .card', { hasText: 'This device' }).waitFor();
  await isConnected(here);
});

t.test('who is asked to be a contact is looked for first, by their id or as they are called', async (t) => {
  const [olga, pim] = [await web.person(t, 'olga'), await web.person(t, 'pim')];
  for (const page of [olga, pim]) await isConnected(page);
  await olga.getByRole('button', { name: 'Contacts', exact: true }).click();
  const form = olga.locator('.panel form');
  await form.getByLabel('User name').fill('pimm');
  await form.getByRole('button', { name: 'Send request' }).click();
  await form.getByText('Nobody is known as pimm').waitFor();
  t.equal(await olga.locator('.panel .card').count(), 0, 'nobody is asked before');
  await form.getByLabel('User name').fill('pim');
  t.equal(await form.getByText('Nobody is known as').count(), 0, 'what is typed anew is looked for anew');
  await form.getByLabel('Greeting').fill('we met at the pond');
  await form.getByRole('button', { name: 'Send request' }).click();
  await olga.getByText('Asked, no answer yet').waitFor();
  await pim.getByRole('button', { name: 'Contacts', exact: true }).click();
  await pim.getByText('Wants to be a contact').waitFor();
  await form.getByLabel('User name').fill('nobody-here');
  await form.getByRole('button', { name: 'Send request' }).click();
  await form.getByRole('button', { name: 'Go on anyway' }).click();
  await olga.locator('.panel .card', { hasText: 'nobody-here' }).getByText('Asked, no answer yet').waitFor();
});
