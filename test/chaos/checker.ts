/**
 * Decides from a workload's history, the log and the inboxes whether all promises held (checker/violation.ts lists them).
 *
 *   node test/chaos/checker.ts <settings.json>
 *
 * Prints one JSON object: `{ total, counts, violations: [{ property, what, excerpt }] }`; exits with 1 when there are any.
 */
import { connectNats } from '../../src/adapters/jetstream/connect.ts';
import { asRookeryError } from '../../src/protocol/error-codes.ts';
import { quiet } from '../support/nats.ts';
import { check } from './checker/check.ts';
import { type Evidence, gather } from './checker/evidence.ts';
import { excerptOf } from './checker/excerpt.ts';
import { checkerSettings, readSettings } from './settings.ts';

/** A stream may change its leader in the midst of being read. */
const MAX_ATTEMPTS = 5;

const { historyFile, nats: access, topology } = readSettings(checkerSettings, process.argv[2]);
const nats = await connectNats(access, 'operator', 'checker', quiet);
try {
  const evidence = await gathered();
  const { violations, ...rest } = check(evidence);
  const told = violations.map((violation) => ({ ...violation, excerpt: excerptOf(violation, evidence) }));
  console.log(JSON.stringify({ ...rest, violations: told }));
  process.exitCode = rest.total > 0 ? 1 : 0;
} finally {
  await nats.nc.close();
}

async function gathered(): Promise<Evidence> {
  for (let attempt = 1; ; attempt++) {
    try {
      return await gather(nats, topology, historyFile);
    } catch (error) {
      if (asRookeryError(error).code !== 'LOG_UNAVAILABLE' || attempt === MAX_ATTEMPTS) throw error;
    }
  }
}
