/** Groups and contacts as people use them: made, joined, led, left; asked, accepted. */
import type { Page } from 'playwright-core';
import t from 'tap';
import { isConnected, message, openDirect, say, startWeb } from '../support/web.ts';

const web = await startWeb();
t.teardown(() => web.stop());

const notice = (page: Page, text: string): Promise<void> => page.locator('.notice', { hasText: text }).waitFor();

t.test('a group is made, joined by an invite, led, and left', async (t) => {
  const [alice, bob, carol] = [await web.person(t, 'alice'), await web.person(t, 'bob'), await web.person(t, 'carol')];
  for (const page of [alice, bob, carol]) await isConnected(page);
  await alice.getByRole('button', { name: 'New conversation' }).click();
  await alice.getByRole('menuitem', { name: 'New group' }).click();
  await alice.getByLabel('Name of the group').fill('Flock');
  await alice.getByLabel('Members').fill('bob');
  await alice.getByRole('button', { name: 'Create group' }).click();
  await say(alice, 'welcome @bob');
  await bob.locator('.row', { hasText: 'Flock' }).locator('.badge-mention').waitFor();
  await bob.locator('.row', { hasText: 'Flock' }).locator('.row-link').click();
  await message(bob, 'welcome').waitFor();

  await alice.getByRole('button', { name: 'About this conversation' }).last().click();
  await alice.getByRole('button', { name: 'Make an invite' }).click();
  const invite = await alice.locator('.invite').innerText();
  await carol.getByRole('button', { name: 'New conversation' }).click();
  await carol.getByRole('menuitem', { name: 'New group' }).click();
  await carol.getByLabel('Group and invite').fill(invite);
  await carol.getByRole('button', { name: 'Join a group' }).click();
  await say(carol, 'hello from carol');
  await message(bob, 'hello from carol').waitFor();

  const member = alice.locator('.panel .card', { hasText: 'bob' });
  await member.getByRole('button', { name: 'What to do with bob' }).click();
  await alice.getByRole('menuitem', { name: 'Mute for an hour' }).click();
  await notice(bob, 'alice muted bob');
  await say(bob, 'may I?');
  await bob.getByText('You may not speak here now.').waitFor();
  await bob.getByRole('button', { name: 'Discard' }).click();

  await alice.locator('.panel').getByLabel('Name of the group').fill('Flock of six');
  await alice.locator('.panel').getByLabel('Announcement').fill('Nest at six');
  await alice.locator('.panel').getByRole('button', { name: 'Save' }).click();
  await notice(carol, 'alice announced: Nest at six');
  await carol.locator('.row', { hasText: 'Flock of six' }).waitFor();

  await bob.getByRole('button', { name: 'About this conversation' }).last().click();
  await bob.getByRole('button', { name: 'Leave group' }).click();
  await bob.getByRole('button', { name: 'Leave group · Sure?' }).click();
  await bob.getByText('You are no longer in this group.').waitFor();
  await notice(alice, 'bob left');
});

t.test('who takes messages from contacts alone is asked, says yes, and is written to', async (t) => {
  const [dave, erin] = [await web.person(t, 'dave'), await web.person(t, 'erin')];
  for (const page of [dave, erin]) await isConnected(page);
  await erin.getByRole('button', { name: 'Settings' }).click();
  await erin.getByLabel('Who may write to me').selectOption('contacts');
  await erin.getByRole('button', { name: 'Contacts', exact: true }).click();
  await openDirect(dave, 'dave', 'erin');
  await say(dave, 'let me in');
  await dave.getByText('They take messages from contacts only.').waitFor();
  await dave.locator('.refused').getByRole('button', { name: 'Ask to be contacts' }).click();
  await erin.getByText('Wants to be a contact').waitFor();
  await erin.getByRole('button', { name: 'Accept' }).click();
  await erin.getByRole('button', { name: 'Remove contact' }).waitFor();
  await dave.getByRole('button', { name: 'Send again' }).click();
  await erin.locator('.row', { hasText: 'let me in' }).waitFor();
});

t.test('a message is answered, changed and taken back, and everybody sees it so', async (t) => {
  const [fay, gus] = [await web.person(t, 'fay'), await web.person(t, 'gus')];
  await openDirect(fay, 'fay', 'gus');
  await openDirect(gus, 'gus', 'fay');
  await say(fay, 'at sevn?');
  const act = async (page: Page, text: string, action: string): Promise<void> => {
    const place = page.locator('[data-n]', { hasText: text }).first();
    await place.hover();
    await place.getByRole('button', { name: 'Actions' }).click();
    await page.getByRole('menuitem', { name: action }).click();
  };
  await act(gus, 'at sevn?', 'Reply');
  await say(gus, 'at eight');
  await fay.locator('.bubble .quote', { hasText: 'at sevn?' }).waitFor();
  await act(fay, 'at sevn?', 'Edit');
  await fay.getByRole('textbox', { name: 'Write a message' }).fill('at seven?');
  await fay.keyboard.press('Enter');
  await message(gus, 'at seven?').first().waitFor();
  await gus.getByRole('button', { name: 'edited' }).click();
  await gus.locator('.past', { hasText: 'at sevn?' }).waitFor();
  await act(gus, 'at eight', 'Edit');
  await gus.getByRole('textbox', { name: 'Write a message' }).fill('at eight, then');
  await gus.keyboard.press('Enter');
  const changed = fay.locator('.bubble', { hasText: 'at eight, then' });
  await changed.waitFor();
  t.equal(await changed.locator('.quote').count(), 1, 'a changed answer is still one');
  await act(gus, 'at eight, then', 'Take back');
  await notice(fay, 'gus took a message back');
  await notice(gus, 'You took a message back');
  await openDirect(fay, 'fay', 'hal');
  await fay.getByRole('button', { name: 'Search messages' }).first().click();
  // Typed where the focus is.
  await fay.waitForFunction(() => document.activeElement?.matches('[type=search]'));
  await fay.keyboard.type('seven');
  // From the list: also what another conversation has than the one that is open.
  await fay.locator('.hit', { hasText: 'at seven?' }).waitFor();
  await fay.keyboard.press('Escape');
  await fay.getByRole('button', { name: 'Search messages' }).last().click();
  t.ok(await fay.getByLabel('Only in this conversation').isChecked(), 'from a conversation: in it alone');
});

t.test('members may be named as they are called, and who is not known is asked about before', async (t) => {
  const [ida, jan] = [await web.person(t, 'ida'), await web.person(t, 'jan')];
  for (const page of [ida, jan]) await isConnected(page);
  await jan.getByRole('button', { name: 'Settings' }).click();
  await jan.getByLabel('Name others see').fill('Jan van Dijk');
  await jan.locator('.panel').getByRole('button', { name: 'Save' }).first().click();
  await jan.locator('.sidebar .bar-title', { hasText: 'Jan van Dijk' }).waitFor();
  await openDirect(ida, 'ida', 'jan');
  await ida.locator('.conversation .bar-title', { hasText: 'Jan van Dijk' }).waitFor();
  await ida.getByRole('button', { name: 'New conversation' }).click();
  await ida.getByRole('menuitem', { name: 'New group' }).click();
  await ida.getByLabel('Name of the group').fill('Canal');
  const create = ida.getByRole('button', { name: 'Create group' });
  await ida.getByLabel('Members').fill('Jan van Dijk, Nobody Here');
  await create.click();
  await ida.getByText('Nobody is known as Nobody Here').waitFor();
  await ida.getByLabel('Members').fill('Jan van Dijk, jann');
  await create.click();
  await ida.getByText('Nobody is known as jann').waitFor();
  t.equal(await ida.locator('.row', { hasText: 'Canal' }).count(), 0, 'nothing is made before');
  await ida.getByLabel('Members').fill('Jan van Dijk');
  await create.click();
  await jan.locator('.row', { hasText: 'Canal' }).waitFor();
  await ida.getByText('2 members').waitFor();
  await ida.getByRole('button', { name: 'New conversation' }).click();
  await ida.getByRole('menuitem', { name: 'Write to' }).click();
  await ida.getByRole('textbox', { name: 'Write to' }).fill('jann');
  await ida.getByRole('button', { name: 'Enter' }).click();
  await ida.getByText('Nobody is known as jann').waitFor();
  await ida.getByRole('button', { name: 'Go on anyway' }).click();
  await ida.locator('.conversation .bar-title', { hasText: 'jann' }).waitFor();
});
