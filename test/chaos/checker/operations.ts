/** What clients asked for, against what the log holds and the order it holds it in: properties 1, 2, 5, 6, 9, 16. */
import { partOf } from '../../../src/domain/conversation.ts';
import type { UserId } from '../../../src/domain/ids.ts';
import type { LogEvent } from '../../../src/ports/conversation-log.ts';
import type { Acked, Invoked, Line } from '../history.ts';
import type { Evidence } from './evidence.ts';
import type { Violations } from './violation.ts';

/** All that was asked and told of one (user, conversation, id). */
interface Operation {
  readonly key: string;
  readonly first: Invoked;
  readonly invocations: Invoked[];
  readonly acks: Acked[];
}

const keyOf = (conversation: string, user: string, id: string): string => JSON.stringify([conversation, user, id]);

export function checkOperations(evidence: Evidence, violations: Violations): { operations: number; acked: number } {
  const operations = operationsOf(evidence.history, violations);
  const { accepted, refused } = decisionsOf(evidence);
  checkAcks(evidence, operations, violations);
  checkLog(evidence, operations, violations);
  const inOrder = new Map([...accepted].filter(([key]) => !refused.has(key)));
  checkSenders(evidence, operations, inOrder, violations);
  checkRealTime(operations, accepted, violations);
  const acked = [...operations.values()].filter(({ acks }) => acks.length > 0).length;
  return { operations: operations.size, acked };
}

function operationsOf(history: readonly Line[], violations: Violations): Map<string, Operation> {
  const operations = new Map<string, Operation>();
  const byOp = new Map<number, { operation: Operation; settled: boolean; invoked: Invoked }>();
  for (const line of history) {
    if (line.k === 'invoked') {
      const key = keyOf(line.conversation, line.user, line.id);
      let operation = operations.get(key);
      if (!operation) operations.set(key, (operation = { key, first: line, invocations: [], acks: [] }));
      operation.invocations.push(line);
      byOp.set(line.op, { operation, settled: false, invoked: line });
    } else if (line.k === 'acked' || line.k === 'refused' || line.k === 'unknown') {
      const found = byOp.get(line.op);
      if (!found) continue;
      if (line.k === 'acked') found.operation.acks.push(line);
      if (found.settled) violations.add(16, `operation ${line.op} was answered twice`, found.invoked.id);
      found.settled = true;
    }
  }
  const open = [...byOp.values()].filter(({ settled }) => !settled);
  for (const { invoked } of open) violations.add(16, `operation ${invoked.op} was never answered`, invoked.id);
  return operations;
}

/** Where the fold accepted each, and which it refused: those may stand elsewhere all the same, sent again and decided anew. */
function decisionsOf({ expected }: Evidence): { accepted: Map<string, number>; refused: Set<string> } {
  const accepted = new Map<string, number>();
  const refused = new Set<string>();
  for (const entries of expected.values()) {
    for (const { conversation, seen } of entries) {
      const [type, , pos, by, id] = seen;
      const key = keyOf(conversation, by, id);
      if (type === 'rejected') refused.add(key);
      else if (type !== 'duplicate') accepted.set(key, pos);
    }
  }
  return { accepted, refused };
}

function checkAcks({ log, streamOf }: Evidence, operations: Map<string, Operation>, violations: Violations): void {
  const at = log.map((events) => new Map(events.map((event) => [event.pos, event])));
  for (const { first, acks } of operations.values()) {
    for (const { pos, op } of acks) {
      const event = at[streamOf(first.conversation)]?.get(pos);
      if (event?.conversation === first.conversation && event.event.by === first.user && event.event.id === first.id) {
        continue;
      }
      const there = event ? `${event.event.type} ${event.event.id} of ${event.event.by}` : 'nothing';
      violations.add(1, `${first.id} of ${first.user} was acked (${op}) at ${pos}, where there is ${there}`, first.id);
    }
  }
}

/** Nothing stands in the log that nobody asked for, or with other words. */
function checkLog({ log }: Evidence, operations: Map<string, Operation>, violations: Violations): void {
  for (const { conversation, event, pos } of log.flat()) {
    const operation = operations.get(keyOf(conversation, event.by, event.id));
    if (!operation) {
      violations.add(2, `nobody asked for the ${event.type} ${event.id} at ${pos}`, event.id);
    } else if (event.type === 'messageSent') {
      const text = Buffer.from(event.body).toString();
      const isAsked = operation.invocations.some((invoked) => invoked.text === text);
      if (!isAsked) violations.add(2, `the message ${event.id} at ${pos} has a body nobody sent`, event.id);
    }
  }
}

/** Messages that one run of a device sent to a conversation, each once, stand there in the order of sending. */
function checkSenders(
  evidence: Evidence,
  operations: Map<string, Operation>,
  accepted: Map<string, number>,
  violations: Violations,
): void {
  const last = new Map<string, { pos: number; id: string; since: number }>();
  /** By stream: the newest position that anybody was told of so far. */
  const told = evidence.log.map(() => 0);
  const streams = new Map<number, number>();
  for (const line of evidence.history) {
    if (line.k === 'acked') {
      const stream = streams.get(line.op);
      if (stream !== undefined) told[stream] = Math.max(told[stream] ?? 0, line.pos);
    }
    if (line.k !== 'invoked') continue;
    const stream = evidence.streamOf(line.conversation);
    streams.set(line.op, stream);
    if (line.type !== 'messageSent' || line.device === 'http') continue;
    const key = keyOf(line.conversation, line.user, line.id);
    // One that was sent again may have come by another way.
    const pos = operations.get(key)?.invocations.length === 1 ? accepted.get(key) : undefined;
    if (pos === undefined) continue;
    const lane = JSON.stringify([line.user, line.device, line.run, line.conversation]);
    const before = last.get(lane);
    // A refusal by the gateway whose answer was lost is in no history: sent again, the message may have been let through.
    if (before && before.pos > pos && !changedFor(line, evidence.log[stream] ?? [], before.since, before.pos)) {
      violations.add(
        5,
        `${line.user} sent ${before.id} before ${line.id}; in the log it is behind`,
        before.id,
        line.id,
      );
    }
    if (!before || pos > before.pos) last.set(lane, { pos, id: line.id, since: told[stream] ?? 0 });
  }
}

/** Whether something may have changed, between two positions, about what the user may say in the conversation. */
function changedFor({ user, conversation }: Invoked, log: readonly LogEvent[], from: number, to: number): boolean {
  return log.some(({ pos, conversation: where, event }) => {
    if (pos <= from || pos > to || where !== conversation || partOf(event) !== 's') return false;
    if ('members' in event) return event.members.includes(user as UserId) || event.type === 'groupCreated';
    if ('member' in event) return event.member === user;
    return (
      event.by === user ||
      event.type === 'userBlocked' ||
      event.type === 'userUnblocked' ||
      event.type === 'groupChanged'
    );
  });
}

/** Whoever speaks after another's ack speaks behind it. */
function checkRealTime(
  operations: Map<string, Operation>,
  accepted: Map<string, number>,
  violations: Violations,
): void {
  const byConversation = Map.groupBy(
    [...operations.values()].filter(({ first, key }) => first.type === 'messageSent' && accepted.has(key)),
    ({ first }) => first.conversation,
  );
  for (const sent of byConversation.values()) {
    sent.sort((a, b) => (accepted.get(a.key) as number) - (accepted.get(b.key) as number));
    let latest: Operation | undefined;
    for (const operation of sent) {
      // One that the fold refused was acked as well, at another place: that was no ack of this message.
      const stands = operation.acks.filter(({ pos }) => pos === accepted.get(operation.key));
      const ackedAt = Math.min(...stands.map(({ at }) => at));
      if (latest && ackedAt < latest.first.at) {
        const [early, late] = [operation.first.id, latest.first.id];
        violations.add(6, `${late} was sent after ${early} had been acked, and stands before it`, early, late);
      }
      if (!latest || operation.first.at > latest.first.at) latest = operation;
    }
  }
}
