/**
 * What the folding and writing half of a rebuild costs by itself, in CPU time an event: a log packed in memory, then put into a file as
 * the building thread does. `node bench/micro/building.ts [events]`
 */
import { mkdtempSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { SqliteReadModel } from '../../src/adapters/sqlite/read-model.ts';
import { BuildingWindows } from '../../src/application/read-model/rebuild.ts';
import { LogPacker, LogUnpacker, type PackedPortion } from '../../src/processes/packed-log.ts';
import { conversationSubject } from '../../src/protocol/subjects.ts';
import { log } from '../reads.ts';

const [events = 200_000] = process.argv.slice(2).map(Number);
const PORTION = 2_000;

const packer = new LogPacker();
const portions: PackedPortion[] = [];
const START = Date.now();
let pos = 0;
for (const { conversation, data } of log(events)) {
  pos += 1;
  packer.add(pos, START + Math.floor(pos / 50), conversationSubject(conversation, 'm'), data);
  if (pos % PORTION === 0) portions.push(packer.take() as PackedPortion);
}
const rest = packer.take();
if (rest) portions.push(rest);

const dir = mkdtempSync(join(tmpdir(), 'rookery-bench-'));
try {
  const path = process.env.OUT ?? join(dir, 'built.sqlite');
  const before = process.cpuUsage();
  const thread = process.threadCpuUsage();
  const wall = performance.now();
  const model = new SqliteReadModel({ path, log: 'bench', isBuilt: true });
  const windows = new BuildingWindows(model);
  const unpacker = new LogUnpacker();
  for (const portion of portions) windows.add(unpacker.records(portion));
  windows.flush();
  model.close();
  const ms = performance.now() - wall;
  const own = process.threadCpuUsage(thread);
  const all = process.cpuUsage(before);
  const us = (of: { user: number; system: number }): string =>
    `${((of.user + of.system) / pos).toFixed(2)} µs (user ${(of.user / pos).toFixed(2)})`;
  console.log(
    `${pos} events: thread ${us(own)}, process ${us(all)}, wall ${Math.round((1_000 * pos) / ms)}/s, file ${(statSync(path).size / pos).toFixed(0)} B an event`,
  );
} finally {
  rmSync(dir, { recursive: true, force: true });
}
