/** Bytes are held back, or swallowed for good while both sides believe the connection stands. */
import type { LinkMode } from '../deployment/link.ts';
import type { Fault } from './fault.ts';

const network = (name: string, modes: readonly LinkMode[], lastsMs: Fault['lastsMs']): Fault => ({
  name,
  touches: ['links'],
  lastsMs,
  unavailable: ({ links }) => (links.length === 0 ? 'this deployment has no links' : undefined),
  async inject({ links }, random) {
    const link = random.pick(links);
    const mode = random.pick(modes);
    link.mode = mode;
    const heal = async (): Promise<void> => {
      link.mode = 'pass';
    };
    return { target: `${link.name} (${mode}, ${link.connections} connections)`, heal };
  },
});

export const networkFaults: readonly Fault[] = [
  network('stalled-link', ['hold'], [500, 10_000]),
  network('half-open-link', ['swallowBoth', 'swallowFromClient', 'swallowFromServer'], [500, 10_000]),
];
