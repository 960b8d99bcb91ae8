/** Where workers stand that keep no consumer on the server: they are asked, and tell, over core NATS. */
import type { NatsConnection } from '@nats-io/nats-core';
import { STANDING_ASKED, STANDING_WILDCARD, standingSubject } from '../../../protocol/subjects.ts';

/** Who has not answered by then is stuck, or not there. */
const TOLD_WITHIN_MS = 500;

export interface LaneStanding {
  readonly lane: number;
  /** Position of the newest event that is in its file. */
  readonly position: number;
  /** Whether it answers questions: it has read all that stood in the log when it began. */
  readonly isServing: boolean;
}

export interface Standing {
  /** `read-model` */
  readonly worker: string;
  /** Machine and folder. */
  readonly id: string;
  readonly lanes: readonly LaneStanding[];
}

export function answerStanding(
  nc: NatsConnection,
  worker: string,
  id: string,
  lanes: () => readonly LaneStanding[],
): { stop(): void } {
  const subscription = nc.subscribe(STANDING_ASKED, {
    callback: (error) => {
      if (!error) nc.publish(standingSubject(worker, id), JSON.stringify({ worker, id, lanes: lanes() }));
    },
  });
  return { stop: () => subscription.unsubscribe() };
}

/** Of all that answer in time. */
export async function askStanding(nc: NatsConnection, withinMs = TOLD_WITHIN_MS): Promise<Standing[]> {
  const told: Standing[] = [];
  const subscription = nc.subscribe(STANDING_WILDCARD, {
    callback: (error, message) => {
      if (!error) told.push(message.json<Standing>());
    },
  });
  nc.publish(STANDING_ASKED);
  await new Promise((resolve) => setTimeout(resolve, withinMs));
  subscription.unsubscribe();
  return told.sort((a, b) => (a.id < b.id ? -1 : 1));
}
