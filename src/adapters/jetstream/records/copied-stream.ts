/** A stream of its own that a log is copied into, beside the log or in another server: to try things on. */
import { DiscardPolicy, type JetStreamManager, RetentionPolicy, StorageType } from '@nats-io/jetstream';
import { RookeryError } from '../../../protocol/error-codes.ts';
import { convStreamName } from '../../../protocol/subjects.ts';
import { answered } from '../answered.ts';

const DUPLICATE_WINDOW_NS = 30e9;
const MAX_CONSUMERS = 1_000;
/** Subjects of the deployment begin with a lower case letter: none of them is this stream's, whatever its name. */
const NAME = /^[A-Z][A-Za-z0-9_-]{0,63}$/;
const DESCRIPTION = 'A log copied by `rookery replay --into`.';

/** @throws RookeryError BAD_REQUEST */
export function checkCopyName(name: string): void {
  if (!isOurs(name))
    throw new RookeryError(
      'BAD_REQUEST',
      `${name} is no name for a stream to copy into: TRIAL or the like, with a capital letter first`,
    );
}

/** Makes it unless it is there: all subjects of the log with its name in front. @throws RookeryError BAD_REQUEST, LOG_UNAVAILABLE */
export async function ensureCopiedStream(jsm: JetStreamManager, name: string): Promise<void> {
  checkCopyName(name);
  const names = await streamNames(jsm);
  if (names.has(name)) return;
  const config = {
    name,
    description: DESCRIPTION,
    subjects: [`${name}.>`],
    storage: StorageType.File,
    retention: RetentionPolicy.Limits,
    discard: DiscardPolicy.New,
    max_consumers: MAX_CONSUMERS,
    duplicate_window: DUPLICATE_WINDOW_NS,
    allow_direct: true,
    // Of nats-server 2.14; nats.js does not know it yet.
    allow_batched: true,
  };
  await answered(name, jsm.streams.add(config));
}

/** With all that is in it. @throws RookeryError BAD_REQUEST for any other stream, STREAM_MISSING, LOG_UNAVAILABLE */
export async function removeCopiedStream(jsm: JetStreamManager, name: string): Promise<void> {
  const isCopy = isOurs(name) && (await answered(name, jsm.streams.info(name))).config.description === DESCRIPTION;
  if (!isCopy) throw new RookeryError('BAD_REQUEST', `${name} is no stream that \`rookery replay --into\` has made`);
  await answered(name, jsm.streams.delete(name));
}

const isOurs = (name: string): boolean => NAME.test(name) && !/^(CONV_|INBOX_|KV_|USER$|DEAD$|SCHED$)/.test(name);

/** How many CONV streams a deployment has, by what is there. @throws RookeryError STREAM_MISSING where there are none */
export async function convStreamsOf(jsm: JetStreamManager): Promise<number> {
  const names = await streamNames(jsm);
  let count = 0;
  while (names.has(convStreamName(count))) count += 1;
  if (count === 0)
    throw new RookeryError('STREAM_MISSING', 'there is no log: `rookery streams apply` makes its streams');
  return count;
}

async function streamNames(jsm: JetStreamManager): Promise<ReadonlySet<string>> {
  const list = async (): Promise<ReadonlySet<string>> => {
    const names = new Set<string>();
    for await (const name of jsm.streams.names()) names.add(name);
    return names;
  };
  return answered('streams', list());
}
