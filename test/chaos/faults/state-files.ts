/** A worker's SQLite files are lost, or an old backup of them is put back. They are a cache: nobody may notice. */
import { cpSync, mkdirSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { always, type Fault } from './fault.ts';

const deleteStateFiles: Fault = {
  name: 'delete-state-files',
  touches: ['workers'],
  lastsMs: [0, 1_000],
  unavailable: always,
  async inject({ workers }, random) {
    const worker = random.pick(workers);
    await worker.kill('SIGKILL');
    rmSync(worker.stateDir, { recursive: true, force: true });
    return { target: worker.name, heal: async () => worker.start() };
  },
};

/** The backup is taken of a worker that was killed, and comes back after the worker went on for a while. */
const restoreOldStateFiles: Fault = {
  name: 'restore-old-state-files',
  touches: ['workers'],
  lastsMs: [2_000, 8_000],
  unavailable: always,
  async inject({ workers, dir }, random) {
    const worker = random.pick(workers);
    const backup = join(dir, 'backup', worker.name);
    await worker.kill('SIGKILL');
    rmSync(backup, { recursive: true, force: true });
    mkdirSync(worker.stateDir, { recursive: true });
    cpSync(worker.stateDir, backup, { recursive: true });
    worker.start();
    return {
      target: worker.name,
      async heal() {
        await worker.kill('SIGKILL');
        rmSync(worker.stateDir, { recursive: true, force: true });
        cpSync(backup, worker.stateDir, { recursive: true });
        worker.start();
      },
    };
  },
};

const damageStateFiles: Fault = {
  name: 'damage-state-files',
  touches: ['workers'],
  lastsMs: [0, 1_000],
  unavailable: always,
  async inject({ workers }, random) {
    const worker = random.pick(workers);
    await worker.kill('SIGKILL');
    mkdirSync(worker.stateDir, { recursive: true });
    for (const file of readdirSync(worker.stateDir)) writeFileSync(join(worker.stateDir, file), 'no database at all');
    return { target: worker.name, heal: async () => worker.start() };
  },
};

export const stateFileFaults: readonly Fault[] = [deleteStateFiles, restoreOldStateFiles, damageStateFiles];
