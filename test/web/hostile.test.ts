/** What others write is text: nothing of it runs, looks like the page, or leads to somebody else's server. */
import t from 'tap';
import { createClient } from '../../src/sdk/index.ts';
import { tokenFor } from '../support/gateway.ts';
import { eventually } from '../support/waiting.ts';
import { complaints, isConnected, message, openDirect, startWeb, texts } from '../support/web.ts';

const HOSTILE = [
  '<script>window.hacked = 1</script>',
  '<img src=x onerror="window.hacked = 2">',
  '"><svg onload=window.hacked=3>',
  'javascript:window.hacked=4',
  '[click](javascript:window.hacked=5)',
  '<a href="javascript:window.hacked=6" style="position:fixed;inset:0">x</a>',
  '```\n</code></pre><script>window.hacked = 7</script>\n```',
  '`<iframe srcdoc="<script>parent.hacked=8</script>">`',
  '{{constructor.constructor("window.hacked=9")()}}',
  'https://bank.example@evil.example/',
  'https://a.example/"onmouseover="window.hacked=10',
  'x'.repeat(5_000),
];

const web = await startWeb();
t.teardown(() => web.stop());

t.test('hostile messages, names and types stay text', async (t) => {
  const url = `${web.gateway.address.replace('http', 'ws')}/v1/ws`;
  const mallory = await createClient({ url, token: await tokenFor('mallory'), device: 'd' });
  t.teardown(() => mallory.close());
  mallory.start();
  await mallory.changeProfile({ name: '<img src=x onerror="window.hacked=11">' }).durable;
  for (const text of HOSTILE) await mallory.sendText({ to: 'vera' }, text).durable;
  await mallory.send({ to: 'vera' }, { contentType: 'text/html', body: Buffer.from('<script>hacked=12</script>') })
    .durable;
  await mallory.send({ to: 'vera' }, { contentType: 'image/svg+xml', body: Buffer.from('<svg onload="hacked=13"/>') })
    .durable;
  await mallory.createGroup('bad-group', '<b onclick=hacked=14>group</b>', ['vera']).durable;
  await mallory.sendText({ conversation: 'bad-group' }, 'a picture \u202egnp.exe').durable;

  const asked = new Set<string>();
  const vera = await web.window();
  complaints(t, vera);
  vera.on('request', (request) => asked.add(new URL(request.url()).host));
  await openDirect(vera, 'vera', 'mallory');
  await isConnected(vera);
  await message(vera, 'image/svg+xml').waitFor();
  await vera.locator('.timeline').evaluate((element) => element.scrollTo(0, 0));
  await message(vera, '<script>window.hacked = 1</script>').waitFor();
  t.equal(await vera.evaluate(() => (window as { hacked?: number }).hacked), undefined);
  t.equal(
    await vera.locator('.bubble :is(img, script, iframe, svg:not(.icon), [onload], [onerror], [style])').count(),
    0,
  );
  t.ok((await texts(vera)).includes(HOSTILE[1] as string), 'as it was written');
  const links = await vera.locator('.bubble a').evaluateAll((all) =>
    all.map((link) => ({
      href: (link as HTMLAnchorElement).href,
      text: link.textContent,
      rel: link.getAttribute('rel'),
    })),
  );
  for (const { href, text, rel } of links) {
    t.match(href, /^https?:\/\//);
    t.equal(new URL(href).host, new URL(text ?? '').host, 'it leads where it says');
    t.match(rel, /noopener noreferrer/);
  }
  await eventually(async () => (await vera.locator('.row').count()) === 2, 'the group is there');
  t.notMatch(await vera.locator('.list').innerText(), /\u202e/);
  t.same([...asked], [new URL(web.gateway.address).host], 'nobody else is asked for anything');
});
