/** What a gateway tells of itself at `/metrics`. */
import { Counter, collectDefaultMetrics, Gauge, Histogram, Registry } from 'prom-client';
import type { JetstreamConversationLog } from '../adapters/jetstream/log/conversation-log.ts';
import type { Delivery } from '../application/delivery/delivery.ts';
import type { LaneBacklog } from '../application/gateway/lane-backlog.ts';
import type { Sessions } from '../application/gateway/sessions.ts';

const MS_PER_SECOND = 1_000;
/** Seconds: from what a page takes to the longest that a question waits, for its turn and for its answer. */
const QUESTION_BUCKETS = [0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10];

export interface Measured {
  readonly sessions: Sessions;
  readonly appender: JetstreamConversationLog;
  readonly delivery: Delivery;
  readonly backlog: LaneBacklog;
  readonly unsentBytes: () => number;
}

export function gatewayMetrics({ sessions, appender, delivery, backlog, unsentBytes }: Measured) {
  const registry = new Registry();
  collectDefaultMetrics({ register: registry });
  const gauge = (name: string, help: string, read: () => number): void => {
    new Gauge({
      name,
      help,
      registers: [registry],
      collect() {
        this.set(read());
      },
    });
  };
  gauge('rookery_sessions', 'open sessions', () => sessions.count);
  gauge('rookery_ungreeted_sessions', 'open sessions without a hello that was taken', () => sessions.ungreeted);
  gauge('rookery_appends_in_flight', 'appends not yet answered by the log', () => appender.inFlight);
  gauge('rookery_lane_backlog', 'events in the log and not yet in the inboxes, of the last lane', () => backlog.events);
  gauge('rookery_unsent_bytes', 'bytes written to sockets and not yet taken by them', unsentBytes);
  gauge('rookery_requests_in_flight', 'requests not yet answered to their session', () => sessions.inFlight);
  gauge('rookery_ring_bytes', 'inbox entries kept in memory', () => delivery.ringBytes);
  const refused = new Counter({
    name: 'rookery_refused_total',
    help: 'requests answered with an error, and connections turned away',
    labelNames: ['code'],
    registers: [registry],
  });
  const untold = new Counter({
    name: 'rookery_untold_total',
    help: 'what is told to connected devices alone and was not: too often, too large a group, nobody to be told, a slow reader',
    labelNames: ['why'],
    registers: [registry],
  });
  const questions = new Histogram({
    name: 'rookery_question_seconds',
    help: 'from a question to read models to its answer, the wait for its turn included; a query is one for each lane it is asked of',
    labelNames: ['type'],
    buckets: QUESTION_BUCKETS,
    registers: [registry],
  });
  const unanswered = new Counter({
    name: 'rookery_questions_unanswered_total',
    help: 'questions to read models that were refused, or that nobody answered in time',
    labelNames: ['type', 'code'],
    registers: [registry],
  });
  return {
    registry,
    onAsked(type: string, ms: number, code: string | undefined): void {
      questions.observe({ type }, ms / MS_PER_SECOND);
      if (code !== undefined) unanswered.inc({ type, code });
    },
    onRefused: (code: string): void => refused.inc({ code }),
    onUntold: (why: string): void => untold.inc({ why }),
  };
}
