/** What happens to a device and around it, step by step: nothing moves by itself, so that everything can go wrong between any two steps. */
import fc from 'fast-check';
import type { ConversationId } from '../../src/domain/ids.ts';
import { COMMIT_EVERY_MS } from '../../src/sdk/limits.ts';
import { type Kind, Phone } from './sync-phone.ts';
import { ROOMS, SyncWorld } from './sync-world.ts';

type Step = (phone: Phone, room: ConversationId, k: number) => unknown;
const sender = (k: number): string => (k === 0 ? 'me' : 'bob');

/** How often of 100 or so. */
const steps = {
  'other sends': [8, ({ world }, room, k) => world.append(room, sender(k))],
  'somebody reads': [1, ({ world }, room, k) => world.appendReadMark(room, sender(k))],
  'leaves or joins': [1, ({ world }, room) => world.leavesOrJoins(room)],
  emit: [8, ({ world }, _, k) => world.emit(k % 2)],
  'read model reads': [6, ({ world }, _, k) => world.readModelReads(k % 2)],
  'server reads': [8, (phone) => phone.serverReads()],
  answers: [6, ({ world }) => world.answer()],
  'takes commands': [3, ({ world }) => world.takeCommand()],
  fails: [1, ({ world }) => world.fail()],
  refuses: [1, ({ world }) => world.refuse()],
  delivers: [3, ({ world }) => world.deliver(false)],
  'delivers with cursor': [4, ({ world }) => world.deliver(true)],
  'gateway skips': [1, ({ world }) => world.skip()],
  'client reads': [8, (phone) => phone.clientReads()],
  'app handles': [8, (phone) => phone.appHandles()],
  'app handles all': [
    1,
    (phone) => {
      for (let i = 0; i < 20; i++) phone.appHandles();
    },
  ],
  'storage answers': [3, (phone) => phone.storageAnswers()],
  'time passes': [3, (phone) => phone.passes(400)],
  'all goes well': [1, (phone) => goesWell(phone, 3)],
  drop: [1, (phone) => phone.drop()],
  killed: [1, (phone, _, k) => phone.killed(k, false)],
  'killed while it stores': [1, (phone, _, k) => phone.killed(k, true)],
  restarts: [1, (phone, _, k) => phone.restarts(k)],
  'worker takes over': [1, ({ world }) => world.takeOver()],
  evicts: [2, ({ world }) => world.evict()],
  'inbox loses its end': [1, ({ world }) => world.loseEnd()],
  'inbox made anew': [1, ({ world }) => world.makeAnew()],
  'log restored': [
    1,
    (phone, _, k) => {
      phone.world.restore(k / 4);
      phone.drop();
    },
  ],
} as const satisfies Record<string, readonly [weight: number, step: Step]>;

export type Happening = keyof typeof steps;
export type Story = readonly (readonly [Happening, ConversationId, number])[];

const NAMES = Object.keys(steps) as Happening[];
const isRare = (what: Happening): boolean => steps[what][0] <= 2;

/** Of what is rare only some happens in a story, and some of the rest more often: few faults need everything at once. */
export function stories(without: readonly Happening[], maxLength = 300): fc.Arbitrary<Story> {
  const possible = NAMES.filter((what) => !without.includes(what));
  const common = possible.filter((what) => !isRare(what));
  const often = fc.array(fc.constantFrom(...common), { maxLength: 4 });
  return fc.tuple(fc.subarray(possible.filter(isRare)), often).chain(([some, more]) => {
    const step = (what: Happening) => ({
      weight: steps[what][0] * (more.includes(what) ? 3 : 1),
      arbitrary: fc.tuple(fc.constant(what), fc.constantFrom(...ROOMS), fc.nat(3)),
    });
    return fc.array(fc.oneof(...[...some, ...common].map(step)), { maxLength, size: 'max' });
  });
}

/** Then all is well, and what is left comes through. */
export async function run(story: Story, kind: Kind): Promise<Phone> {
  const phone = new Phone(new SyncWorld(), kind);
  await phone.start(0);
  for (const [what, room, k] of story) await steps[what][1](phone, room, k);
  goesWell(phone, 200);
  // What a gateway left out is missed when the next one comes.
  if (phone.world.skipped.length > 0) for (const room of ROOMS) phone.world.append(room);
  goesWell(phone, 150);
  phone.passes(COMMIT_EVERY_MS);
  phone.storageAnswers();
  return phone;
}

function goesWell(phone: Phone, turns: number): void {
  const { world } = phone;
  for (let i = 0; i < turns; i++) {
    if (i % 10 === 0) phone.passes(30_000);
    phone.serverReads();
    for (const lane of [0, 1]) {
      world.emit(lane);
      world.readModelReads(lane);
    }
    world.deliver(true);
    world.answer();
    world.takeCommand();
    for (let k = 0; k < 8; k++) phone.clientReads();
    for (let k = 0; k < 8; k++) phone.appHandles();
    phone.storageAnswers();
  }
}
