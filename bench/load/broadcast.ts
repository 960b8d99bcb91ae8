/**
 * The shape of a live row against a plain WebSocket server: the same members, senders and window, the same bodies, counted
 * and checked in the same way. The server knows rooms by their path and no more: no names, no acks, nothing stored.
 */
import type { BroadcastJob, Result } from '../job.ts';
import { bodyOf, numberIn } from './frames.ts';
import { Ledger, monotonicUs } from './ledger.ts';
import { type Enter, measure, resultOf } from './pace.ts';
import { LightSocket } from './socket.ts';
import { Timeline } from './timeline.ts';

interface Room {
  readonly timeline: Timeline;
  readonly sockets: LightSocket[];
  turn: number;
}

export async function broadcast(job: BroadcastJob, enter: Enter): Promise<Result> {
  const { groups, members, senders, window } = job;
  const ledger = new Ledger();
  let isSending = true;
  const sendNext = (room: Room): void => {
    if (!isSending) return;
    const sender = room.turn++ % senders;
    room.sockets[sender]?.send(bodyOf(ledger.send(sender, members)));
  };

  const rooms: Room[] = [];
  for (let index = 0; index < groups; index++) {
    const room: Room = { timeline: new Timeline(ledger, members), sockets: [], turn: 0 };
    const received = (member: number, payload: Buffer): void => {
      if (room.timeline.receiveNext(member, numberIn(payload), monotonicUs())) sendNext(room);
    };
    for (let member = 0; member < members; member++) {
      const url = new URL(`/${index}`, job.url);
      room.sockets.push(await LightSocket.open(url, undefined, (payload) => received(member, payload)));
    }
    rooms.push(room);
  }

  for (let i = 0; i < window; i++) for (const room of rooms) sendNext(room);
  await measure(ledger, job, enter, () => (isSending = false));
  return resultOf(
    ledger,
    rooms.map(({ timeline }) => timeline),
  );
}
