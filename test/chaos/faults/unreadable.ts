/** Something in the log that no code can read: it must become a dead letter, and the lane must go on. */
import { headers } from '@nats-io/nats-core';
import { convStreamName, deadSubject } from '../../../src/protocol/subjects.ts';
import type { Deployment } from '../deployment/deployment.ts';
import type { Random } from '../random.ts';
import { always, type Fault, range } from './fault.ts';

interface Garbage {
  readonly stream: string;
  readonly pos: number;
}

/** Not MessagePack at all; MessagePack of another shape; of a version to come; nothing. */
const bodies: readonly Uint8Array[] = [
  Uint8Array.of(0xc1, 0xff, 0x00, 0x13, 0x37),
  Uint8Array.of(0x93, 0x01, 0x02, 0x03),
  Uint8Array.of(0x81, 0xa1, 0x76, 0x63),
  new Uint8Array(0),
];

/** In the midst of a conversation that lives, where there is one. */
export async function publishGarbage({ operator, topology }: Deployment, random: Random): Promise<Garbage> {
  const { js, jsm } = operator;
  const stream = convStreamName(random.pick(range(topology.convStreams)));
  const { state, config } = await jsm.streams.info(stream);
  const neighbour = state.last_seq > 0 ? await jsm.streams.getMessage(stream, { seq: state.last_seq }) : undefined;
  const subject = neighbour?.subject ?? (config.subjects[0] as string).replaceAll('*', '0');
  const options = { headers: headers(), msgID: `garbage-${crypto.randomUUID()}` };
  const { seq: pos } = await js.publish(subject, random.pick(bodies), options);
  return { stream, pos };
}

const unreadableEvent: Fault = {
  name: 'unreadable-event',
  touches: ['nats-servers'],
  lastsMs: [0, 0],
  unavailable: always,
  async inject(deployment, random) {
    const { stream, pos } = await publishGarbage(deployment, random);
    return {
      target: `${stream} at ${pos}`,
      heal: async () => undefined,
      async verify() {
        const subject = deadSubject('fan-out', stream, pos);
        const letter = await deployment.operator.jsm.streams.getMessage('DEAD', { last_by_subj: subject });
        if (!letter) throw new Error(`there is no dead letter ${subject}`);
      },
    };
  },
};

export const unreadableFaults: readonly Fault[] = [unreadableEvent];
