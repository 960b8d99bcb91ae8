/** `rookery replay --into`: a recorded log once more, at its own pace, into another deployment or a stream to try things on. */
import type { Command } from 'commander';
import type { Nats } from '../adapters/jetstream/connect.ts';
import type { ArchiveReader, StoredRecord } from '../ports/archive.ts';
import { checkedFile, type MergeTarget, mergeInto, tellMerged } from './merging.ts';
import {
  connected,
  INTERRUPTED_EXIT_CODE,
  idFrom,
  type Operator,
  type OperatorOptions,
  print,
  withOperator,
} from './operator.ts';
import { endBar, StepBars } from './progress.ts';

export interface IntoOptions extends OperatorOptions {
  readonly into: string;
  readonly intoCredentials?: string;
  readonly speed?: string;
  readonly filter?: string;
}

export const INTO_EXAMPLES = `  rookery replay --into TRIAL --speed max                      this log into a stream TRIAL beside it, as TRIAL.conv.…
  rookery replay log.rookery --into other.json --speed 10x     an exported log into another deployment, ten times as fast
  rookery replay --into nats://127.0.0.1:4222 --filter conversation=team-7,kind=messageSent`;

const GO_ON = 'interrupted: the same command goes on with what is not there yet';
/** What a stop may have to wait for at most. */
const MAX_WAIT_MS = 200;

export function intoOptions(command: Command): Command {
  return command
    .option('--into <stream|url|file>', 'a stream beside the log, or a deployment by its address or configuration')
    .option('--into-credentials <file>', 'of the deployment at that address')
    .option('--speed <factor>', 'as it happened: 1x (the default); ten times as fast: 10x; or max')
    .option('--filter <fields>', 'conversation=…,kind=…,user=…: what is played');
}

/** @param file an archive; undefined: the log of this deployment */
export async function replayInto(file: string | undefined, options: IntoOptions): Promise<void> {
  const speed = await speedOf(options.speed ?? '1x');
  const isWanted = await filterOf(options.filter);
  await withOperator(options, 'replay', GO_ON, async (operator) => {
    const bars = new StepBars('events');
    const total = { done: 0, of: 0, wanted: 0 };
    const target = await targetOf(operator, options);
    try {
      // Before anything is made: a file that cannot be played leaves no empty stream behind.
      const records = await recorded(file, operator, target, bars, total);
      if (target.copyInto !== undefined && !operator.stop.aborted) await makeCopy(target.nats, target.copyInto);
      const merged = await mergeInto(target, bars, operator.stop, async (merge) => {
        const { Pace } = await import('../application/archive/paced.ts');
        const pace = new Pace(speed, performance.now());
        for await (const { stream, record } of records) {
          total.done += 1;
          if (!isWanted(record)) continue;
          total.wanted += 1;
          await due(pace, record.at, operator.stop);
          if (operator.stop.aborted) break;
          const room = merge.add(record, stream);
          if (room) await room;
          bars.at({ step: 'replaying', done: total.done, total: total.of });
        }
      });
      if (operator.stop.aborted) process.exitCode = INTERRUPTED_EXIT_CODE;
      else if (options.filter !== undefined && total.wanted === 0) tellNothingMatched(options.filter, total.done);
      if (options.json) await print(JSON.stringify({ mode: 'merged', complete: !operator.stop.aborted, ...merged }));
      else await tellMerged(merged);
    } finally {
      if (target.nats !== operator.nats) await target.nats.nc.close();
    }
  });
}

function tellNothingMatched(filter: string, read: number): void {
  endBar();
  process.stderr.write(`nothing matches --filter ${filter}: ${read} events were read and none was played\n`);
}

/** @throws RookeryError BAD_REQUEST */
async function speedOf(text: string): Promise<number> {
  const { RookeryError } = await import('../protocol/error-codes.ts');
  if (text === 'max') return Number.POSITIVE_INFINITY;
  const [, factor] = /^(\d{1,6}(?:\.\d{1,3})?)x?$/.exec(text) ?? [];
  if (!(Number(factor) > 0)) throw new RookeryError('BAD_REQUEST', `--speed ${text}: 1x, 10x, 0.5x … or max`);
  return Number(factor);
}

/** `conversation=team-7,kind=messageSent,user=alice`: all must hold; of one that is named several times one must. @throws RookeryError BAD_REQUEST, BAD_ID */
async function filterOf(text: string | undefined): Promise<(record: StoredRecord) => boolean> {
  if (text === undefined) return () => true;
  const { RookeryError } = await import('../protocol/error-codes.ts');
  const { parseConversationId, parseUserId } = await import('../domain/ids.ts');
  const { refuseUnknownKind } = await import('./event-kinds.ts');
  const { eventIn } = await import('../application/archive/readable.ts');
  const wanted = new Map<string, Set<string>>();
  for (const part of text.split(',')) {
    const [, field = '', value = ''] = /^(conversation|kind|user)=(.+)$/.exec(part) ?? [];
    if (value === '') throw new RookeryError('BAD_REQUEST', `--filter ${part}: conversation=…, kind=… or user=…`);
    if (field === 'kind') refuseUnknownKind(value, '--filter kind=');
    else if (field === 'conversation') idFrom(value, parseConversationId, 'the conversation');
    else idFrom(value, parseUserId, 'the user');
    wanted.set(field, (wanted.get(field) ?? new Set()).add(value));
  }
  return (record) => {
    try {
      const { conversation, event } = eventIn(record);
      const found: Readonly<Record<string, string>> = { conversation, kind: event.type, user: event.by };
      return [...wanted].every(([field, values]) => values.has(found[field] ?? ''));
    } catch {
      return false;
    }
  };
}

async function due(pace: { waitMs(at: number, nowMs: number): number }, at: number, stop: AbortSignal): Promise<void> {
  for (;;) {
    const waitMs = pace.waitMs(at, performance.now());
    if (waitMs === 0 || stop.aborted) return;
    await new Promise((resolve) => setTimeout(resolve, Math.min(waitMs, MAX_WAIT_MS)));
  }
}

async function makeCopy({ jsm }: Nats, name: string): Promise<void> {
  const { ensureCopiedStream } = await import('../adapters/jetstream/records/copied-stream.ts');
  await ensureCopiedStream(jsm, name);
}

export const isAddress = (into: string): boolean => /^(nats|tls):\/\//.test(into);

/** Another deployment by its configuration or its address; or, by a name, a stream. */
async function targetOf(operator: Operator, { into, intoCredentials }: IntoOptions): Promise<MergeTarget> {
  const { convStreamsOf, checkCopyName } = await import('../adapters/jetstream/records/copied-stream.ts');
  const { logStreams } = await import('../adapters/jetstream/records/record-reader.ts');
  const isElsewhere = isAddress(into) || into.endsWith('.json');
  if (!isElsewhere) {
    checkCopyName(into);
    return { nats: operator.nats, names: [into], copyInto: into };
  }
  const { loadDeployment, operatorSchema } = await import('../processes/configuration/operator.ts');
  const flags = into.endsWith('.json')
    ? {}
    : { nats: { servers: [into], ...(intoCredentials !== undefined && { credentialsFile: intoCredentials }) } };
  const { config } = loadDeployment(operatorSchema, { file: into.endsWith('.json') ? into : undefined, flags });
  const nats = await connected(config.nats, 'operator', 'replay', operator.log, into);
  return { nats, names: logStreams({ convStreams: await convStreamsOf(nats.jsm), inboxStreams: 0 }) };
}

async function recorded(
  file: string | undefined,
  { nats, topology, stop }: Operator,
  target: MergeTarget,
  bars: StepBars,
  total: { of: number },
) {
  const { mergedByTime } = await import('../application/archive/paced.ts');
  if (file === undefined) {
    const { JetstreamRecordReader, logStreams } = await import('../adapters/jetstream/records/record-reader.ts');
    const reader = new JetstreamRecordReader({ ...nats, names: logStreams(topology) });
    const streams = (await reader.streams()).filter(({ lastSeq }) => lastSeq > 0);
    for (const { firstSeq, lastSeq } of streams) total.of += lastSeq - firstSeq + 1;
    return mergedByTime(
      streams.map(({ name, firstSeq, lastSeq }) => ({ stream: name, records: reader.read(name, firstSeq, lastSeq) })),
    );
  }
  const { FileArchiveReader } = await import('../adapters/archive/archive-reader.ts');
  const seal = await checkedFile(file, target, { keepUnreadable: true, bars, stop });
  const first = await FileArchiveReader.open(file);
  const streams = first.header.streams.filter(({ lastSeq }) => lastSeq > 0);
  await first.close();
  for (const { firstSeq, lastSeq } of streams) total.of += lastSeq - firstSeq + 1;
  const open = () => FileArchiveReader.open(file);
  return mergedByTime(streams.map(({ name }) => ({ stream: name, records: streamOf(open, seal, name) })));
}

/** What a file holds of one stream; the file is read from end to end for each. */
async function* streamOf(
  open: () => Promise<ArchiveReader>,
  seal: string | undefined,
  name: string,
): AsyncGenerator<readonly StoredRecord[]> {
  const archive = await open();
  try {
    for await (const { stream, records } of archive.blocks(seal)) {
      if (archive.header.streams[stream]?.name === name) yield records;
    }
  } finally {
    await archive.close();
  }
}
