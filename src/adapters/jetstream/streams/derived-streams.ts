/**
 * What is derived from the log and was lost, by an operator's mistake or a server's, is made anew as `streams/` says: an INBOX
 * stream, or a lane's durable. The worker may do it, because all that they hold it can write again. The log itself it never
 * makes: a CONV stream that is not there is a loss that somebody must look at.
 */
import { JetStreamApiCodes, JetStreamApiError, type JetStreamManager } from '@nats-io/jetstream';
import { convStreamName, inboxStreamName, type Topology } from '../../../protocol/subjects.ts';
import { answered } from '../answered.ts';
import { type Definitions, loadDefinitions } from './stream-definitions.ts';

export class DerivedStreams {
  readonly #jsm: JetStreamManager;
  readonly #definitions: Definitions;

  /** @throws RookeryError CONFIGURATION_INVALID when the definitions cannot be read */
  constructor(jsm: JetStreamManager, topology: Topology) {
    this.#jsm = jsm;
    this.#definitions = loadDefinitions({ topology, replicas: 1 });
  }

  /**
   * Does nothing where it is there. It gets as many replicas as the lane's log has.
   * @throws RookeryError LOG_UNAVAILABLE, also when the server has another stream of that name or with those subjects
   */
  async createInbox(inboxStream: number, lane: number): Promise<void> {
    const name = inboxStreamName(inboxStream);
    const log = convStreamName(lane);
    const { config } = await answered(log, this.#jsm.streams.info(log));
    const definition = this.#definitions.streams.find((stream) => stream.name === name);
    const created = { ...definition, name, num_replicas: config.num_replicas };
    await answered(name, this.#jsm.streams.add(created));
  }

  /** @throws RookeryError STREAM_MISSING when the lane's log is not there, LOG_UNAVAILABLE */
  async lacksDurable(lane: number, durable: string): Promise<boolean> {
    const log = convStreamName(lane);
    const asked = this.#jsm.consumers.info(log, durable).then(
      () => false,
      (error: unknown) => {
        if (isConsumerMissing(error)) return true;
        throw error;
      },
    );
    return answered(log, asked);
  }

  /** Does nothing where it is there. @throws RookeryError STREAM_MISSING when the lane's log is not, LOG_UNAVAILABLE */
  async createDurable(lane: number, durable: string): Promise<void> {
    const log = convStreamName(lane);
    const definition = this.#definitions.consumers.find(
      ({ stream, config }) => stream === log && config.durable_name === durable,
    );
    await answered(log, this.#jsm.consumers.add(log, { ...definition?.config, durable_name: durable }));
  }
}

const isConsumerMissing = (thrown: unknown): boolean =>
  thrown instanceof JetStreamApiError && thrown.code === JetStreamApiCodes.ConsumerNotFound;
