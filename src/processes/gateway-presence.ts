/** The gateway's part about who is online where. */

import { JetstreamPresenceStore } from '../adapters/jetstream/between-processes/presence-store.ts';
import type { Nats } from '../adapters/jetstream/connect.ts';
import { frameOnWire } from '../adapters/websocket/framing.ts';
import type { Accounts } from '../application/gateway/accounts.ts';
import { LiveGateways } from '../application/gateway/live-gateways.ts';
import { OnlineSessions } from '../application/gateway/online-sessions.ts';
import { PresenceWatch } from '../application/gateway/presence.ts';
import { PresencePrivacy } from '../application/gateway/presence-privacy.ts';
import type { Sessions } from '../application/gateway/sessions.ts';
import type { Clock } from '../ports/clock.ts';
import type { ConversationViews } from '../ports/conversation-views.ts';
import type { Log } from '../ports/log.ts';
import type { GatewayConfig } from './configuration/gateway.ts';

const FOLLOW_AGAIN_MS = 1_000;

export interface PresenceNeeds {
  readonly nats: Nats;
  readonly gateway: string;
  readonly accounts: Accounts;
  readonly views: ConversationViews;
  readonly config: GatewayConfig;
  readonly clock: Clock;
  readonly log: Log;
}

export interface RunningPresence {
  readonly presence: PresenceWatch;
  /** Sessions are written down from now on. @throws RookeryError LOG_UNAVAILABLE, STREAM_MISSING */
  start(sessions: Sessions): Promise<void>;
  stop(): Promise<void>;
}

/** @throws RookeryError LOG_UNAVAILABLE, STREAM_MISSING */
export async function presenceOf(needs: PresenceNeeds): Promise<RunningPresence> {
  const { nats, gateway, accounts, views, config, clock, log } = needs;
  const store = await JetstreamPresenceStore.open({ ...nats, log });
  const gateways = new LiveGateways({
    store,
    own: gateway,
    clock,
    log,
    onChange: (gone) => presence.gatewayChanged(gone),
  });
  const privacy = new PresencePrivacy(accounts, views);
  const presence = new PresenceWatch({ store, gateways, privacy, frameOnWire, log });
  const limits = config.devices.maxOnline;
  const online = new OnlineSessions({ store, gateways, gateway, limits, clock, log });
  views.onChange((conversation) => {
    privacy.changed(conversation);
    presence.pairChanged(conversation);
  });
  let stopped = false;
  let following: { stop(): Promise<void> } | undefined;
  const news: Parameters<JetstreamPresenceStore['follow']>[0] = {
    onUser(user, revision, read) {
      online.heard(user, revision, read);
      presence.heard(user, revision, read);
    },
    onBeat(name, at, revision) {
      online.heardUpTo(revision);
      gateways.heard(name, at);
    },
  };
  const lost = async (reason: string): Promise<void> => {
    log.error({ what: 'presence lost', reason });
    while (!stopped) {
      await new Promise((resolve) => setTimeout(resolve, FOLLOW_AGAIN_MS));
      try {
        following = await store.follow(news, (again) => void lost(again));
        online.settleAll();
        presence.readAll();
        return;
      } catch (error) {
        log.warn({ what: 'presence not followed', reason: String(error) });
      }
    }
  };
  return {
    presence,
    async start(sessions) {
      following = await store.follow(news, (reason) => void lost(reason));
      await gateways.start();
      sessions.onChange({
        entered: (session) => online.entered(session),
        left(session) {
          presence.forget(session);
          online.left(session);
        },
      });
      void reviewAfterReconnects(nats, presence);
    },
    async stop() {
      stopped = true;
      online.stop();
      presence.stop();
      await gateways.stop();
      await following?.stop();
    },
  };
}

/** What workers told of meanwhile is lost. Ends with the connection. */
async function reviewAfterReconnects({ nc }: Nats, presence: PresenceWatch): Promise<void> {
  for await (const { type } of nc.status()) if (type === 'reconnect') presence.reviewAll();
}
