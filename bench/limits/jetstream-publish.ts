/**
 * The limit for appends: 200-byte messages into the file stream of conversations, with nothing but JetStream's ack. One
 * connection, a fixed number in flight; acks come on one subscription and are checked.
 *
 * Usage: a fork with the arguments url, credentials file, in flight, warm-up ms, measured ms. Tells its parent a Result.
 */
import { connectNats } from '../../src/adapters/jetstream/connect.ts';
import type { Log } from '../../src/ports/log.ts';
import { convStreamName } from '../../src/protocol/subjects.ts';
import type { FromGenerator, Result } from '../job.ts';
import { Histogram } from '../load/histogram.ts';
import { monotonicUs } from '../load/ledger.ts';
import { sleep, within } from '../load/pace.ts';

/** A subject of the shape that conversations have. */
const SUBJECT = 'conv.0.bench.m';
const BODY = new Uint8Array(200).fill(0x61);
const ACKED_WITHIN_MS = 15_000;
const US_PER_S = 1_000_000;
const quiet: Log = { info: () => undefined, warn: console.error, error: console.error };

interface Options {
  readonly url: string;
  readonly credentialsFile: string;
  readonly inFlight: number;
  readonly warmupMs: number;
  readonly measureMs: number;
}

async function publish({ url, credentialsFile, inFlight, warmupMs, measureMs }: Options): Promise<Result> {
  const { nc, jsm, inboxPrefix } = await connectNats({ servers: [url], credentialsFile }, 'operator', 'bench', quiet);
  const latencies = new Histogram();
  /** When what is in flight was sent; acks come in the order of sending. */
  const sentAt: number[] = [];
  let [acked, lastSeq, outOfOrder] = [0, 0, 0];
  let refusal: string | undefined;
  let isSending = true;
  let isMeasuring = false;
  const sendNext = (): void => {
    if (!isSending) return;
    sentAt.push(monotonicUs());
    nc.publish(SUBJECT, BODY, { reply: `${inboxPrefix}.append` });
  };
  nc.subscribe(`${inboxPrefix}.append`, {
    callback: (_, message) => {
      const { seq, error } = message.json<{ seq?: number; error?: { description: string } }>();
      if (!seq) {
        refusal ??= error?.description ?? 'not stored';
        return;
      }
      if (seq <= lastSeq) outOfOrder += 1;
      lastSeq = seq;
      const since = sentAt[acked++] as number;
      if (isMeasuring) latencies.add(monotonicUs() - since);
      sendNext();
    },
  });
  for (let i = 0; i < inFlight; i++) sendNext();
  await sleep(warmupMs);
  isMeasuring = true;
  const [ackedBefore, startedUs] = [acked, monotonicUs()];
  await sleep(measureMs);
  const value = ((acked - ackedBefore) * US_PER_S) / (monotonicUs() - startedUs);
  isMeasuring = false;
  isSending = false;
  await within(ACKED_WITHIN_MS, () => acked === sentAt.length);
  const { state } = await jsm.streams.info(convStreamName(0));
  const lost = sentAt.length - Math.min(acked, state.messages);
  await nc.close();
  if (refusal) throw new Error(`JetStream refused: ${refusal}`);
  const [ackP50Ms, ackP99Ms] = [latencies.percentileMs(0.5), latencies.percentileMs(0.99)];
  return { value, ackP50Ms, ackP99Ms, lost, doubled: 0, outOfOrder };
}

const tell = (message: FromGenerator): void => {
  process.send?.(message);
};
const [url = '', credentialsFile = '', ...numbers] = process.argv.slice(2);
const [inFlight = 1, warmupMs = 0, measureMs = 0] = numbers.map(Number);
process.on('disconnect', () => process.exit(0));
publish({ url, credentialsFile, inFlight, warmupMs, measureMs }).then(
  (result) => tell({ result }),
  (error: unknown) => tell({ error: String((error as Error).stack ?? error) }),
);
