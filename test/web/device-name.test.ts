/** What a browser is called among somebody's devices. */
import t from 'tap';
import { MAX_DEVICE_NAME_CHARS } from '../../src/protocol/limits.ts';
import { deviceNameOf } from '../../src/web/model/device-name.ts';

t.test('a browser is called by its own name, though it says that it is others as well', async (t) => {
  const chrome = 'AppleWebKit/537.36 (KHTML, like Gecko) Chrome/141.0.0.0';
  for (const [agent, name] of [
    ['Mozilla/5.0 (X11; Linux x86_64; rv:144.0) Gecko/20100101 Firefox/144.0', 'Firefox on Linux'],
    [`Mozilla/5.0 (Windows NT 10.0; Win64; x64) ${chrome} Safari/537.36`, 'Chrome on Windows'],
    [`Mozilla/5.0 (Windows NT 10.0; Win64; x64) ${chrome} Safari/537.36 Edg/141.0.0.0`, 'Edge on Windows'],
    [`Mozilla/5.0 (Linux; Android 10; K) ${chrome} Mobile Safari/537.36`, 'Chrome on Android'],
    [
      'Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/18.5 Safari/605.1.15',
      'Safari on Mac',
    ],
    [
      'Mozilla/5.0 (iPhone; CPU iPhone OS 18_5 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) CriOS/141.0 Mobile/15E148 Safari/604.1',
      'Chrome on iPhone',
    ],
    ['Firefox/1', 'Firefox'],
    ['curl/8', ''],
    [`Firefox/${'9'.repeat(500)} Linux`, 'Firefox on Linux'],
  ] as const) {
    t.equal(deviceNameOf(agent), name);
    t.ok(name.length <= MAX_DEVICE_NAME_CHARS);
  }
});
