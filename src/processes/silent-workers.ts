/**
 * Read-model workers that do not tell where they stand, and are there: who hangs must not look like who was never started. They are known by
 * their folder, where that is one of this machine and somebody has it locked, or as they told before.
 */
import { hostname } from 'node:os';
import type { LaneStanding, Standing } from '../adapters/jetstream/between-processes/standing.ts';
import type { Nats } from '../adapters/jetstream/connect.ts';
import { holderOf } from '../adapters/sqlite/folder-lock.ts';
import { ReadModelSnapshot } from '../adapters/sqlite/read-model-digests.ts';
import { lanePlace, workerOf } from './read-model-files.ts';

/** One of another machine that has not told for so long is none any more. */
const FORGOTTEN_AFTER_MS = 60_000;
/** Beyond them the one that told longest ago is forgotten. */
const MAX_KNOWN = 1_000;

export class SilentReadModels {
  readonly #nats: Pick<Nats, 'jsm'>;
  readonly #stateDir: string;
  readonly #known = new Map<string, { readonly standing: Standing; readonly at: number }>();

  /** @param stateDir folder of a read-model worker on this machine, if there is one */
  constructor(nats: Pick<Nats, 'jsm'>, stateDir: string) {
    this.#nats = nats;
    this.#stateDir = stateDir;
  }

  /** @param told by all that answered just now @param nowMs milliseconds since 1970 */
  async besides(told: readonly Standing[], lanes: number, nowMs: number): Promise<Standing[]> {
    for (const standing of told) {
      this.#known.delete(standing.id);
      this.#known.set(standing.id, { standing, at: nowMs });
    }
    for (const [id, { at }] of this.#known) {
      if (this.#known.size > MAX_KNOWN || nowMs - at > FORGOTTEN_AFTER_MS) this.#known.delete(id);
    }
    const answering = new Set(told.map(({ id }) => id));
    const silent = new Map<string, Standing>();
    for (const [id, { standing }] of this.#known) if (this.#isThere(id)) silent.set(id, standing);
    const own = workerOf(this.#stateDir);
    if (!answering.has(own) && this.#isThere(own)) silent.set(own, await standingIn(this.#stateDir, this.#nats, lanes));
    return [...silent.values()].filter(({ id }) => !answering.has(id));
  }

  /** Of this machine's own the lock tells; who tells of another one may hang as well as be gone. */
  #isThere(id: string): boolean {
    const here = `${hostname()}:`;
    return !id.startsWith(here) || holderOf(id.slice(here.length)) !== undefined;
  }
}

/** As its files have it, where these follow this log: the folder may be that of another deployment's worker. */
async function standingIn(stateDir: string, nats: Pick<Nats, 'jsm'>, count: number): Promise<Standing> {
  const lanes: LaneStanding[] = [];
  for (let lane = 0; lane < count; lane++) {
    const position = await positionIn(stateDir, nats, lane);
    if (position !== undefined) lanes.push({ lane, position, isServing: false });
  }
  return { worker: 'read-model', id: workerOf(stateDir), lanes };
}

/** Undefined also of a file that cannot be read, or a stream that is not there: `rookery verify` says why. */
async function positionIn(stateDir: string, nats: Pick<Nats, 'jsm'>, lane: number): Promise<number | undefined> {
  try {
    const { path, log } = await lanePlace(stateDir, nats, lane);
    const snapshot = new ReadModelSnapshot(path);
    const { position } = snapshot;
    snapshot.close();
    return snapshot.log === log ? position : undefined;
  } catch {
    return undefined;
  }
}
