import t from 'tap';
import {
  type AccountCommand,
  decideAccount,
  entryRefusalOf,
  evolveAccount,
  initialAccount,
} from '../../src/domain/account.ts';
import {
  type DeviceEvent,
  type Devices,
  deviceRefusal,
  evolveDevices,
  isRevoked,
  MAX_DEVICES,
  MAX_REVOKED_DEVICES,
  NO_DEVICES,
} from '../../src/domain/devices.ts';
import { device, msgId, user } from '../support/given.ts';

const added = (name: string, about: Partial<Extract<DeviceEvent, { type: 'deviceAdded' }>> = {}): DeviceEvent => ({
  ...{ type: 'deviceAdded', device: device(name), kind: 'phone', name: '', addedAt: 100, issuedAt: 100 },
  ...about,
});
const revoked = (name: string, before: number): DeviceEvent => ({
  type: 'deviceRevoked',
  device: device(name),
  before,
});
const renamed = (name: string, to: string): DeviceEvent => ({ type: 'deviceRenamed', device: device(name), name: to });

/** Devices after events that must all be accepted. */
function given(...events: DeviceEvent[]): Devices {
  return events.reduce((devices, event) => {
    const refusal = deviceRefusal(devices, event);
    if (refusal) throw new Error(`given ${event.type} was refused: ${refusal}`);
    return evolveDevices(devices, event);
  }, NO_DEVICES);
}
const names = ({ known }: Devices): string[] => known.map((one) => one.device);

t.test('a device is written down once, and again where it says something new', async (t) => {
  const devices = given(added('d'));
  t.equal(deviceRefusal(devices, added('d', { addedAt: 200 })), 'NO_CHANGE');
  const named = evolveDevices(devices, added('d', { name: 'Pixel', kind: 'tablet', addedAt: 200 }));
  t.same(named.known, [{ device: 'd', kind: 'tablet', name: 'Pixel', addedAt: 100 }]);
});

t.test('what its user calls it stays, whatever it says of itself', async (t) => {
  const devices = given(added('d', { name: 'Pixel' }), renamed('d', 'Old phone'));
  t.equal(deviceRefusal(devices, added('d', { name: 'Pixel' })), 'NO_CHANGE');
  t.equal(evolveDevices(devices, added('d', { name: 'Pixel', kind: 'other' })).known[0]?.name, 'Old phone');
  t.equal(deviceRefusal(devices, renamed('d', 'Old phone')), 'NO_CHANGE');
  t.equal(deviceRefusal(devices, renamed('e', 'x')), 'DEVICE_UNKNOWN');
});

t.test('one more than are kept makes the named one forgotten, else the oldest', async (t) => {
  const all = Array.from({ length: MAX_DEVICES }, (_, k) => added(`d${k}`));
  const full = given(...all);
  t.same(names(evolveDevices(full, added('new'))).slice(-2), [`d${MAX_DEVICES - 1}`, 'new']);
  t.notOk(names(evolveDevices(full, added('new'))).includes('d0'));
  const chosen = evolveDevices(full, added('new', { forgets: device('d5') }));
  t.equal(chosen.known.length, MAX_DEVICES);
  t.same([names(chosen).includes('d0'), names(chosen).includes('d5')], [true, false]);
  const wrong = evolveDevices(full, added('new', { forgets: device('nobody') }));
  t.equal(wrong.known.length, MAX_DEVICES, 'who names one that is not there gets no more room');
});

t.test('a revoked device comes in with a token issued later alone', async (t) => {
  const devices = given(added('d'), added('e'), revoked('d', 500));
  t.same(names(devices), ['e']);
  t.same(
    [499, 500].map((issuedAt) => isRevoked(devices, device('d'), issuedAt)),
    [true, false],
  );
  t.equal(isRevoked(devices, device('e'), 0), false, 'the others are not concerned');
  t.equal(
    deviceRefusal(devices, added('d', { issuedAt: 499 })),
    'DEVICE_REVOKED',
    'nor is it written down by a late session',
  );
  t.equal(deviceRefusal(devices, revoked('d', 600)), 'DEVICE_UNKNOWN');
  const back = evolveDevices(devices, added('d', { issuedAt: 500 }));
  t.equal(isRevoked(back, device('d'), 499), true, 'its old token is refused for ever');
});

t.test('however many were revoked, no old token of any of them comes in again', async (t) => {
  let devices = given(added('kept'));
  const many = Array.from({ length: 2 * MAX_REVOKED_DEVICES }, (_, k) => `d${k}`);
  for (const [k, name] of many.entries()) {
    devices = evolveDevices(evolveDevices(devices, added(name)), revoked(name, 1_000 + k));
  }
  t.equal(devices.revoked.length, MAX_REVOKED_DEVICES);
  t.ok(many.every((name) => isRevoked(devices, device(name), 999)));
  t.notOk(isRevoked(devices, device('kept'), 999), 'one that was never revoked is not concerned');
  t.ok(many.every((name) => !isRevoked(devices, device(name), 2_000)));
});

t.test('an account that nobody made may have devices, and is still to be made', async (t) => {
  const circumstances = { at: 1_000, isOpen: true };
  const nobody = initialAccount(user('alice'));
  const add = { by: 'user', id: msgId('1'), ...added('d'), type: 'addDevice' } as AccountCommand;
  const withDevice = evolveAccount(nobody, decideAccount(nobody, add, circumstances).event as never);
  t.equal(withDevice.state, 'none');
  const create = { type: 'createAccount', by: 'backend', id: msgId('2'), kind: 'person', profile: {} } as const;
  const made = evolveAccount(withDevice, decideAccount(withDevice, create, circumstances).event as never);
  t.match(made, { state: 'active', devices: { known: [{ device: 'd' }] } });
  const gone = evolveAccount(made, { by: 'user', id: msgId('3'), ...revoked('d', 500) });
  const refusal = (issuedAt: number, from?: string) =>
    entryRefusalOf(gone, { issuedAt }, circumstances, from === undefined ? undefined : device(from));
  t.same([refusal(499, 'd'), refusal(500, 'd'), refusal(499, 'e'), refusal(499)], ['DEVICE_REVOKED', ...Array(3)]);
});

t.test('for a bot’s token counts when it was made', async (t) => {
  const bot = evolveAccount(initialAccount(user('bot')), {
    ...{ type: 'accountCreated', by: 'backend', id: msgId('1'), kind: 'bot', profile: {} },
  });
  const token = (id: string, createdAt: number) => ({ id, name: '', hash: 'h', createdAt, expiresAt: 0 });
  const events = [
    { type: 'botTokenAdded', token: token('old', 400) },
    { type: 'botTokenAdded', token: token('new', 600) },
    added('d'),
    revoked('d', 500),
  ];
  const after = events.reduce(
    (account, event, k) => evolveAccount(account, { by: 'user', id: msgId(`e${k}`), ...event } as never),
    bot,
  );
  const refusal = (botToken: string) => entryRefusalOf(after, { botToken }, { at: 700, isOpen: false }, device('d'));
  t.same([refusal('old'), refusal('new'), refusal('none')], ['DEVICE_REVOKED', undefined, 'TOKEN_REVOKED']);
});
