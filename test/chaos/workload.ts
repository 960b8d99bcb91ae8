/**
 * The workload: people with several devices each who talk, retry, come and go, lead groups, block each other and read
 * slowly. It speaks the public protocol alone and writes down all it asked for and all it was told.
 *
 *   node test/chaos/workload.ts <settings.json>
 *
 * After its time, or SIGTERM, it asks for nothing more and waits until every device has caught up, but not for ever.
 */
import { Random } from './random.ts';
import { readSettings, workloadSettings } from './settings.ts';
import { Recorder } from './workload/recorder.ts';
import { World } from './workload/world.ts';

const POLL_MS = 100;
/** So long nothing came to any device before they count as caught up. */
const QUIET_MS = 2_000;

const settings = readSettings(workloadSettings, process.argv[2]);
const recorder = new Recorder(settings.historyFile);
const world = new World(settings, new Random(settings.seed), recorder);

await world.begin();
await new Promise<void>((resolve) => {
  const timer = setTimeout(resolve, settings.seconds * 1_000);
  process.once('SIGTERM', () => {
    clearTimeout(timer);
    resolve();
  });
});
await world.end();
const deadline = performance.now() + settings.settleSeconds * 1_000;
await until(isSettled);
world.sayFarewell();
const devices = world.people.flatMap(({ name: user, devices }) => devices.map((device) => ({ user, device })));
const isCaughtUp = ({ device }: (typeof devices)[number]) => isCurrent(device) && world.hasSeenFarewell(device);
await until(() => isSettled() && devices.every(isCaughtUp));
const named = ({ user, device }: (typeof devices)[number]) => ({ user, device: device.name });
recorder.end(devices.filter(isCaughtUp).map(named), devices.filter((device) => !isCaughtUp(device)).map(named));
console.log(JSON.stringify({ operations: recorder.operations, unsettled: recorder.unsettled }));
await world.stop();
process.exit(0);

/** Until then, but not for ever. */
async function until(condition: () => boolean): Promise<void> {
  while (!condition() && performance.now() < deadline) await new Promise((resolve) => setTimeout(resolve, POLL_MS));
}

function isCurrent(device: { readonly isLive: boolean; readonly isIdle: boolean }): boolean {
  return device.isLive && device.isIdle;
}

function isSettled(): boolean {
  return (
    devicesAreCurrent() &&
    recorder.unsettled === 0 &&
    world.slowReaders.every(({ isCurrent }) => isCurrent) &&
    performance.now() - recorder.lastDeliveryAt > QUIET_MS
  );
}

function devicesAreCurrent(): boolean {
  return world.people.every(({ devices }) => devices.every(isCurrent));
}
