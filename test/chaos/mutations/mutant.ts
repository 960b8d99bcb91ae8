/** A copy of this checkout with one text replaced, and the fault suite against it. */
import { spawn } from 'node:child_process';
import { cpSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Report } from '../report.ts';
import type { Edit } from './catalogue.ts';

const ROOT = join(import.meta.dirname, '..', '..', '..');
const SEED = 11;
const MINUTES = 0.2;
/** What processes of ours read beside their source. */
const COPIED = ['src', 'streams', 'package.json'];

export interface Outcome {
  /** Promises that the checker found broken; empty: none. */
  readonly broken: readonly number[];
  /** What was found, in words, where no promise is named: something did not settle, a process failed. */
  readonly other: readonly string[];
  readonly seconds: number;
}

/** How often the text to be replaced is found: it must be once. */
export const occurrences = ({ file, find }: Edit): number =>
  readFileSync(join(ROOT, 'src', file), 'utf8').split(find).length - 1;

/** Runs the suite against this checkout, changed by `edits`. @throws Error where the text of one is not there once */
export async function tryOut(edits: readonly Edit[], faults: readonly string[], minutes = MINUTES): Promise<Outcome> {
  const startedAt = performance.now();
  const dir = mkdtempSync(join(tmpdir(), 'rookery-mutant-'));
  try {
    for (const path of COPIED) cpSync(join(ROOT, path), join(dir, path), { recursive: true });
    symlinkSync(join(ROOT, 'node_modules'), join(dir, 'node_modules'));
    for (const edit of edits) change(dir, edit);
    const report = await run(dir, faults, minutes);
    const found = report.violations.map((text) => ({ text, property: Number(/^\((\d+)\)/.exec(text)?.[1] ?? 0) }));
    return {
      broken: [...new Set(found.map(({ property }) => property))].filter((property) => property > 0),
      other: found
        .filter(({ property, text }) => property === 0 && !text.startsWith('…'))
        .map(({ text }) => text.slice(0, 200)),
      seconds: (performance.now() - startedAt) / 1_000,
    };
  } finally {
    rmSync(dir, { recursive: true, force: true });
  }
}

function change(dir: string, edit: Edit): void {
  if (occurrences(edit) !== 1) throw new Error(`not once in src/${edit.file}: ${edit.find}`);
  const file = join(dir, 'src', edit.file);
  writeFileSync(
    file,
    readFileSync(file, 'utf8').replace(edit.find, () => edit.replace),
  );
}

async function run(source: string, faults: readonly string[], minutes: number): Promise<Report> {
  const reportFile = join(source, 'report.jsonl');
  const options = [`--seed=${SEED}`, `--minutes=${minutes}`, `--faults=${faults.join()}`, '--profile=default'];
  const where = [`--source=${source}`, `--report=${reportFile}`, '--keep=no', '--streams=2'];
  const main = join(import.meta.dirname, '..', 'main.ts');
  const child = spawn(process.execPath, [main, ...options, ...where], { stdio: ['ignore', 'pipe', 'inherit'] });
  let said = '';
  child.stdout.on('data', (chunk: Buffer) => (said += chunk.toString()));
  await new Promise((resolve) => child.once('close', resolve));
  try {
    return JSON.parse(readFileSync(reportFile, 'utf8')) as Report;
  } catch (cause) {
    throw new Error(`the suite did not come to a verdict:\n${said}`, { cause });
  }
}
