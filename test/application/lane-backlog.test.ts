/** When a gateway refuses because the inboxes are behind the log, and when it takes in again. */
import t from 'tap';
import { LaneBacklog } from '../../src/application/gateway/lane-backlog.ts';
import { eventually } from '../support/waiting.ts';

function scene({ inboxStreams = 1, lastPos = 0 } = {}) {
  const clock = { ms: 0 };
  const log = { lastPos, asked: 0 };
  const backlog = new LaneBacklog({
    topology: { convStreams: 1, inboxStreams },
    maxEvents: 100,
    logs: [
      {
        async lastPos() {
          log.asked += 1;
          return log.lastPos;
        },
      },
    ],
    monotonicMs: () => clock.ms,
  });
  const appended = (pos: number, duplicate = false) => backlog.appended(0, { pos, duplicate });
  const isRefused = () => backlog.refusal(0) !== undefined;
  return { backlog, clock, log, appended, isRefused };
}

t.test('refuses at the bound, and goes on refusing until half of it is worked off', async (t) => {
  const { backlog, appended, isRefused } = scene();
  backlog.confirmed(0, 0, 1_000);
  appended(1_099);
  t.notOk(isRefused());
  appended(1_100);
  t.ok(isRefused());
  backlog.confirmed(0, 0, 1_049);
  t.ok(isRefused(), 'so that a burst is refused as a whole');
  backlog.confirmed(0, 0, 1_051);
  t.notOk(isRefused());
});

t.test('the slowest inbox stream counts', async (t) => {
  const { backlog, appended, isRefused } = scene({ inboxStreams: 2 });
  backlog.confirmed(0, 0, 500);
  backlog.confirmed(1, 0, 300);
  appended(450);
  t.ok(isRefused());
  t.equal(backlog.events, 150);
});

t.test('before the first checkpoint is seen, what was appended here counts, not the past', async (t) => {
  const { appended, isRefused } = scene();
  appended(70_001);
  t.notOk(isRefused());
  appended(70_099);
  t.notOk(isRefused());
  appended(70_100);
  t.ok(isRefused());
});

t.test('an inbox stream made anew, and a duplicate, refuse nobody', async (t) => {
  const { backlog, appended, isRefused } = scene();
  appended(5_000);
  backlog.confirmed(0, 0, 5_000);
  backlog.confirmed(0, 0, 12);
  t.notOk(isRefused(), 'the past is written once more, and nobody waits for it');
  appended(5_010);
  appended(3, true);
  t.equal(backlog.events, 10);
});

t.test('the time to wait follows from the rate of the lane', async (t) => {
  const { backlog, clock, appended } = scene();
  backlog.confirmed(0, 0, 1_000);
  clock.ms = 1_000;
  backlog.confirmed(0, 0, 1_000);
  clock.ms = 2_000;
  backlog.confirmed(0, 0, 1_200);
  appended(1_350);
  t.equal(backlog.refusal(0)?.retryAfterMs, 500, '100 too many, 200 a second');
  t.equal(scene().backlog.refusal(0), undefined);
});

t.test('a log that lost its end does not refuse for ever', async (t) => {
  const { backlog, clock, log, appended, isRefused } = scene({ lastPos: 1_010 });
  backlog.confirmed(0, 0, 1_000);
  appended(1_200);
  t.ok(isRefused());
  t.ok(isRefused());
  t.equal(log.asked, 1, 'asked once a second at most');
  await eventually(() => !isRefused(), 'the log tells how far it is');
  appended(2_000);
  t.ok(isRefused());
  clock.ms = 1_000;
  t.ok(isRefused());
  t.equal(log.asked, 2);
});
