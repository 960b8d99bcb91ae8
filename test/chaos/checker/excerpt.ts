/** The records that a violation is about, in the order of time: what one reads first. */
import type { Evidence } from './evidence.ts';
import type { Violation } from './violation.ts';

const MAX_LINES = 14;
const MAX_CHARS = 180;

export function excerptOf({ about }: Violation, { history, log, inboxes }: Evidence): string[] {
  const isAbout = (text: string): boolean => about.some((word) => text.includes(word));
  const told: string[] = [];
  const ops = new Set<number>();
  for (const line of history) {
    if (line.k === 'invoked' && about.includes(line.id)) ops.add(line.op);
    const isAnswer = 'op' in line && ops.has(line.op);
    if (isAnswer || (line.k === 'delivered' && line.entries.some(([, , , , id]) => about.includes(id)))) {
      told.push(JSON.stringify(line));
    }
  }
  const logged = log.flat().filter(({ event }) => about.includes(event.id));
  const held = [...inboxes].flatMap(([user, entries]) =>
    entries.filter(({ seen }) => about.includes(seen[4])).map((entry) => `inbox of ${user}: ${JSON.stringify(entry)}`),
  );
  const lines = [
    ...logged.map(({ pos, event }) => `log at ${pos}: ${event.type} ${event.id} of ${event.by}`),
    ...held,
    ...told,
  ].filter((text) => isAbout(text) || text.startsWith('{'));
  const rest = lines.length - MAX_LINES;
  const shown = lines.slice(0, MAX_LINES).map((text) => text.replace(/\.{5,}/g, '…').slice(0, MAX_CHARS));
  return rest > 0 ? [...shown, `… and ${rest} more`] : shown;
}
