/**
 * Decides from a workload's history, the log and the inboxes whether all promises held (checker/violation.ts lists them).
 *
 *   node test/chaos/checker.ts <settings.json>
 *
 * Prints one JSON object: `{ total, counts, violations: [{ property, what, excerpt }] }`; exits with 1 when there are any.
 */
import { connectNats } from '../../src/adapters/jetstream/connect.ts';
import { quiet } from '../support/nats.ts';
import { check } from './checker/check.ts';
import { gather } from './checker/evidence.ts';
import { excerptOf } from './checker/excerpt.ts';
import { checkerSettings, readSettings } from './settings.ts';

const { historyFile, nats: access, topology } = readSettings(checkerSettings, process.argv[2]);
const nats = await connectNats(access, 'operator', 'checker', quiet);
try {
  const evidence = await gather(nats, topology, historyFile);
  const { violations, ...rest } = check(evidence);
  const told = violations.map((violation) => ({ ...violation, excerpt: excerptOf(violation, evidence) }));
  console.log(JSON.stringify({ ...rest, violations: told }));
  process.exitCode = rest.total > 0 ? 1 : 0;
} finally {
  await nats.nc.close();
}
