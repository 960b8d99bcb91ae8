/** Who is told of what while they look elsewhere. */
import t from 'tap';
import type { Entry } from '../../src/sdk/index.ts';
import { SeenTabs } from '../../src/web/link/seen-tabs.ts';
import { FRESH_MS, isQuiet, isToBeTold } from '../../src/web/model/notice.ts';
import { newRow } from '../../src/web/model/rows.ts';
import { conversation, user } from '../support/given.ts';
import { eventually } from '../support/waiting.ts';

const NOON = Date.UTC(2026, 0, 5, 12);
const me = user('me');
const row = { ...newRow(conversation('team')), lastIndex: 7, readUpTo: 6, unread: 1 };
const moment = { me, quietHours: null, nowMs: NOON };
const message = (over: object = {}): Entry =>
  ({ type: 'message', n: 7, pos: 70, at: NOON - 1_000, by: user('bob'), id: 'm', ...over }) as unknown as Entry;

t.test('one is told of a message of somebody else, that is new and not read', async (t) => {
  t.equal(isToBeTold(message(), row, moment), true);
  t.equal(isToBeTold(message({ by: me }), row, moment), false, 'one’s own, from another device');
  t.equal(isToBeTold(message(), { ...row, readUpTo: 7 }, moment), false, 'read on another device');
  t.equal(isToBeTold(message({ at: NOON - FRESH_MS }), row, moment), false, 'old');
  t.equal(isToBeTold(message({ type: 'memberLeft' }), row, moment), false, 'no message');
});

t.test('not of what was muted, put away or left', async (t) => {
  for (const preferences of [{ mutedUntil: -1 }, { mutedUntil: NOON + 1 }, { archived: true }]) {
    t.equal(isToBeTold(message(), { ...row, preferences }, moment), false, JSON.stringify(preferences));
  }
  t.equal(isToBeTold(message(), { ...row, preferences: { mutedUntil: NOON - 1 } }, moment), true, 'no more');
  t.equal(isToBeTold(message(), { ...row, left: true }, moment), false);
});

t.test('not while one does not want to be disturbed, by the clock of where one is', async (t) => {
  const hours = (from: number, to: number, timeZone = 'UTC') => ({ from: 60 * from, to: 60 * to, timeZone });
  t.equal(isToBeTold(message(), row, { ...moment, quietHours: hours(11, 13) }), false);
  for (const [quiet, hoursOf] of [
    [true, hours(12, 13)],
    [false, hours(11, 12)],
    [true, hours(22, 13)],
    [false, hours(22, 7)],
    [true, hours(19, 21, 'Asia/Shanghai')],
    [false, hours(11, 13, 'Asia/Shanghai')],
    [true, hours(9, 9)],
    [true, hours(23, 8, 'America/Los_Angeles')],
  ] as const) {
    t.equal(isQuiet(hoursOf, NOON), quiet, JSON.stringify(hoursOf));
  }
});

t.test('whether any tab of this user is looked at', async (t) => {
  const [one, other, elsewhere] = ['rookery:me', 'rookery:me', 'rookery:bob'].map(
    (name) => new SeenTabs(navigator.locks, `${name} ${process.pid}`),
  ) as [SeenTabs, SeenTabs, SeenTabs];
  t.equal(await one.isAnySeen(), false);
  one.turn(true);
  other.turn(true);
  await eventually(() => other.isAnySeen(), 'seen');
  t.equal(await elsewhere.isAnySeen(), false, 'of another user');
  one.turn(false);
  t.equal(await one.isAnySeen(), true, 'the other one still is');
  other.turn(false);
  await eventually(async () => !(await one.isAnySeen()), 'none is');
});
