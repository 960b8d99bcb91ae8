/**
 * How much room an INBOX stream has left before it evicts what somebody still needs: a gateway's tail, or a lane's marker
 * and checkpoint.
 */
import type { JetStreamManager } from '@nats-io/jetstream';
import type { NatsConnection } from '@nats-io/nats-core';
import { inboxStreamName, tailedSubject } from '../../../protocol/subjects.ts';

import { answered } from '../answered.ts';

/** A stream is asked for its size at most this often. */
const INFO_EVERY_MS = 1_000;
/** A gateway that has not reported for so long is gone: what it missed it will notice as older than the retention. */
const GATEWAY_SILENT_MS = 10_000;
/** Emission waits while gateways are behind by more than this share of the stream's `max_bytes`. */
const MAX_UNREAD_SHARE = 0.5;
/** How long one wait lasts before the gateways' reports are looked at again. */
const WAIT_MS = 50;
/** A marker older than this share of `max_age`, or among the older half of a stream this full, is written anew. */
const RENEW_AGE_SHARE = 0.25;
const RENEW_BYTES_SHARE = 0.5;

interface Size {
  readonly at: number;
  readonly firstSeq: number;
  readonly lastSeq: number;
  readonly bytes: number;
  readonly maxBytes: number;
  readonly maxAgeMs: number;
}

export interface StreamRoom {
  /** Resolves when gateways have read far enough. Costs nothing while the stream is small. */
  wait(): Promise<void>;
  /** Whether what was written at `seq` at `writtenAt` (milliseconds since 1970) will be evicted before long. */
  isOld(seq: number, writtenAt: number): Promise<boolean>;
  /** Whether the stream once held something that it holds no more. */
  hasDropped(): Promise<boolean>;
  stop(): void;
}

export function watchStreamRoom(nc: NatsConnection, jsm: JetStreamManager, inboxStream: number): StreamRoom {
  const stream = inboxStreamName(inboxStream);
  const tails = new Map<string, { readonly seq: number; readonly at: number }>();
  let size: Size | undefined;

  const subscription = nc.subscribe(tailedSubject(inboxStream), {
    callback: (error, message) => {
      if (error) return;
      const report = parseReport(message.string());
      if (report) tails.set(report.gateway, { seq: report.seq, at: Date.now() });
    },
  });

  const sizeNow = async (): Promise<Size> => {
    if (size && Date.now() - size.at < INFO_EVERY_MS) return size;
    const { state, config } = await answered(stream, jsm.streams.info(stream));
    size = {
      at: Date.now(),
      firstSeq: state.first_seq,
      lastSeq: state.last_seq,
      bytes: state.bytes,
      maxBytes: config.max_bytes > 0 ? config.max_bytes : Number.POSITIVE_INFINITY,
      maxAgeMs: config.max_age > 0 ? config.max_age / 1e6 : Number.POSITIVE_INFINITY,
    };
    return size;
  };

  const unreadShare = ({ firstSeq, lastSeq, bytes, maxBytes }: Size): number => {
    let slowest = lastSeq;
    for (const [gateway, { seq, at }] of tails) {
      if (Date.now() - at > GATEWAY_SILENT_MS) tails.delete(gateway);
      else slowest = Math.min(slowest, seq);
    }
    const messages = lastSeq - firstSeq + 1;
    return messages > 0 ? ((lastSeq - slowest) * (bytes / messages)) / maxBytes : 0;
  };

  return {
    async wait() {
      // Asked once a second at most: at 100 MB/s a stream of 300 MB would still not turn over unseen.
      while (unreadShare(await sizeNow()) > MAX_UNREAD_SHARE) {
        await new Promise((resolve) => setTimeout(resolve, WAIT_MS));
        size = undefined;
      }
    },
    async isOld(seq, writtenAt) {
      const { firstSeq, lastSeq, bytes, maxBytes, maxAgeMs } = await sizeNow();
      if (Date.now() - writtenAt > maxAgeMs * RENEW_AGE_SHARE) return true;
      return bytes > maxBytes * RENEW_BYTES_SHARE && seq < (firstSeq + lastSeq) / 2;
    },
    async hasDropped() {
      size = undefined;
      return (await sizeNow()).firstSeq > 1;
    },
    stop: () => subscription.unsubscribe(),
  };
}

function parseReport(text: string): { gateway: string; seq: number } | undefined {
  try {
    const { gateway, seq } = JSON.parse(text) as { gateway?: unknown; seq?: unknown };
    return typeof gateway === 'string' && Number.isSafeInteger(seq) ? { gateway, seq: seq as number } : undefined;
  } catch {
    return undefined;
  }
}
