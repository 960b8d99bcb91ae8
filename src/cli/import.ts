/** `rookery import`: a file of `rookery export` into a deployment. */
import type { Command } from 'commander';
import type { Restored } from '../application/archive/restore-log.ts';
import { registerForeignImports } from './import-foreign.ts';
import {
  INTERRUPTED_EXIT_CODE,
  type Operator,
  type OperatorOptions,
  operatorCommand,
  print,
  withOperator,
} from './operator.ts';

interface Options extends OperatorOptions {
  readonly merge?: true;
  readonly keepUnreadable?: true;
}

const EXAMPLES = `  rookery import log.rookery --config new.json      into an empty deployment: every event at its position, with its time
  rookery import log.rookery --config new.json      once more: goes on, or finds that all is there
  rookery import team.rookery --merge               a part of a log, or into one that has events: by ids, behind what is there
  rookery import slack export.zip                   what other messengers leave: rookery import slack --help`;

export function registerImport(program: Command): void {
  const command = operatorCommand(
    program,
    'import <file>',
    'restore an exported log, or merge it into another',
    EXAMPLES,
  )
    .option('--merge', 'add what is not there by its id, behind what is; positions are new ones then')
    .option('--keep-unreadable', 'also take events that this version cannot read: they become dead letters')
    .action(async (path: string, options: Options) => {
      const goOn = 'interrupted: the same command goes on behind what is stored';
      await withOperator(options, 'import', goOn, async (operator) => {
        if (options.merge) await mergeFrom(path, operator, options);
        else await restoreFrom(path, operator, options);
      });
    });
  registerForeignImports(command);
}

async function restoreFrom(path: string, { nats, access, topology, stop }: Operator, options: Options): Promise<void> {
  const { JetstreamRecordReader, logStreams } = await import('../adapters/jetstream/records/record-reader.ts');
  const { JetstreamRecordAppender } = await import('../adapters/jetstream/records/record-appender.ts');
  const { recordLimits } = await import('../adapters/jetstream/records/record-limits.ts');
  const { batchedStreams } = await import('../adapters/jetstream/records/record-batches.ts');
  const { FileArchiveReader } = await import('../adapters/archive/archive-reader.ts');
  const { Summary } = await import('../adapters/archive/summary.ts');
  const { patienceOf, restoreLog } = await import('../application/archive/restore-log.ts');
  const { patiently } = await import('../application/pause.ts');
  const { ImportingThread } = await import('../processes/importing.ts');
  const { secondsSince, StepBars } = await import('./progress.ts');
  const bars = new StepBars('events');
  const startedMs = performance.now();
  const names = logStreams(topology);
  const patience = patienceOf({ stop });
  const batched = await patiently(() => batchedStreams(nats.jsm, names), patience);
  const total = new Map<string, number>();
  const keepUnreadable = options.keepUnreadable === true;
  const rules = {
    keepUnreadable,
    convStreams: topology.convStreams,
    limits: await patiently(() => recordLimits(nats.nc, nats.jsm, names), patience),
  };
  const beside = new ImportingThread(access, rules, (stream, seq) =>
    bars.at({ step: `verifying ${stream}`, done: seq, total: total.get(stream) ?? seq }),
  );
  const restored = await restoreLog({
    open: () => FileArchiveReader.open(path),
    target: new JetstreamRecordReader({ ...nats, names }),
    appenderFrom: (ends, interruptions) => new JetstreamRecordAppender({ ...nats, ends, batched, interruptions }),
    countOf: (stream) => new Summary(stream),
    readBack: (ends) => {
      for (const [name, end] of ends) total.set(name, end);
      return beside.readBack(ends);
    },
    rules,
    beside,
    stop,
    onProgress: (progress) => bars.at(progress),
  }).finally(() => beside.stop());
  if (!restored.complete) process.exitCode = INTERRUPTED_EXIT_CODE;
  const seconds = secondsSince(startedMs);
  if (options.json) return print(JSON.stringify({ mode: 'restored', seconds, steps: bars.seconds, ...restored }));
  await tell(restored, seconds);
}

async function mergeFrom(path: string, { nats, topology, stop }: Operator, options: Options): Promise<void> {
  const { FileArchiveReader } = await import('../adapters/archive/archive-reader.ts');
  const { logStreams } = await import('../adapters/jetstream/records/record-reader.ts');
  const { StepBars } = await import('./progress.ts');
  const { checkedFile, mergeInto, tellMerged } = await import('./merging.ts');
  const bars = new StepBars('events');
  const target = { nats, names: logStreams(topology) };
  const seal = await checkedFile(path, target, { keepUnreadable: options.keepUnreadable === true, bars, stop });
  const merged = await mergeInto(target, bars, stop, async (merge) => {
    const archive = await FileArchiveReader.open(path);
    try {
      for await (const { stream, records } of archive.blocks(seal)) {
        const { name = '', created = '' } = archive.header.streams[stream] ?? {};
        for (const record of records) await merge.add(record, `${name} of ${created}`);
        bars.at({ step: `merging ${name}`, done: archive.position, total: archive.bytes, unit: 'bytes' });
        if (stop.aborted) return;
      }
    } finally {
      await archive.close();
    }
  });
  if (stop.aborted) process.exitCode = INTERRUPTED_EXIT_CODE;
  if (options.json) await print(JSON.stringify({ mode: 'merged', complete: !stop.aborted, ...merged }));
  else await tellMerged(merged);
}

async function tell(restored: Restored, seconds: number): Promise<void> {
  for (const { name, stored, position, behind } of restored.streams) {
    const newer = restored.complete && behind > 0 ? `, ${behind} behind the last one of the file` : '';
    await print(`${name.padEnd(8)} ${stored} stored, now at ${position}${newer}`);
  }
  if (!restored.complete) return;
  const { counted } = await import('./terminal.ts');
  const kept = restored.unreadable > 0 ? `, ${restored.unreadable} of them unreadable here` : '';
  await print(
    `${counted(restored.events, 'event')}${kept}, each at its position: identical to the file, ${seconds.toFixed(1)} s`,
  );
}
