/**
 * Whether the checker sees what it should: each mutation of the catalogue is built and put under the fault suite, and two builds
 * without one. Exits with 1 if one is not seen, or if something is seen where nothing is wrong.
 *
 *   node test/chaos/mutations/main.ts [name …]
 */
import { LOOSE_LEASES, mutations } from './catalogue.ts';
import { tryOut } from './mutant.ts';

const names = process.argv.slice(2);
const chosen = names.length === 0 ? mutations : mutations.filter(({ name }) => names.includes(name));
if (chosen.length === 0) throw new Error(`no mutation is called ${names.join(', ')}`);

console.log('| mutation | under | seen by promise | after s |\n|---|---|---|---|');
const faults = [...new Set(chosen.flatMap((mutation) => mutation.faults))];
let isClean = true;
for (const [name, edits] of [
  ['none', []],
  ['none, with loose leases', LOOSE_LEASES],
] as const) {
  const { broken, other, seconds } = await tryOut(edits, faults);
  if (broken.length + other.length > 0) isClean = false;
  tell(name, ['all of these'], [...broken, ...other].join(', ') || 'nothing', seconds);
}
let unseen = 0;
for (const mutation of chosen) {
  const { broken, other, seconds } = await tryOut(mutation.edits, mutation.faults, mutation.minutes);
  const isSeen = broken.some((property) => mutation.seenBy.includes(property));
  if (!isSeen) unseen += 1;
  tell(mutation.name, mutation.faults, `${[...broken, ...other].join(', ')}${isSeen ? '' : ' NOT SEEN'}`, seconds);
}
console.log(
  `${chosen.length - unseen} of ${chosen.length} mutations seen; in the builds without one ${isClean ? 'nothing' : 'SOMETHING'}`,
);
process.exitCode = unseen === 0 && isClean ? 0 : 1;

function tell(name: string, faults: readonly string[], seen: string, seconds: number): void {
  console.log(`| ${name} | ${faults.join(', ')} | ${seen} | ${seconds.toFixed(0)} |`);
}
