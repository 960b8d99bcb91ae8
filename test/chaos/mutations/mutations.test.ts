/** The checker sees what is wrong: some mutations in full, and of all that they can still be made. `make chaos-mutations` runs each. */
import t from 'tap';
import { mutations } from './catalogue.ts';
import { occurrences, tryOut } from './mutant.ts';

t.test('every mutation still has its place in the code', async (t) => {
  for (const { name, edits } of mutations) for (const edit of edits) t.equal(occurrences(edit), 1, name);
  t.ok(mutations.length >= 15);
});

t.test('a build that is wrong is seen', { timeout: 200_000 }, async (t) => {
  const mutation = mutations.find(({ name }) => name === 'skip an inbox write');
  if (!mutation) return t.fail('no such mutation');
  const { broken } = await tryOut(mutation.edits, mutation.faults, mutation.minutes);
  t.ok(
    broken.some((property) => mutation.seenBy.includes(property)),
    `seen by ${broken.join()}`,
  );
});
