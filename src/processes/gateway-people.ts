/** The gateway's part about people: who they are, who may come in, from which devices. */

import { JetstreamCountedNews } from '../adapters/jetstream/between-processes/counted-news.ts';
import type { Nats } from '../adapters/jetstream/connect.ts';
import { JetstreamAccountFollower, JetstreamAccountLog } from '../adapters/jetstream/log/account-log.ts';
import type { JetstreamConversationLog } from '../adapters/jetstream/log/conversation-log.ts';
import type { JwtTokens } from '../adapters/jwt/tokens.ts';
import { Accounts } from '../application/gateway/accounts.ts';
import { DeviceRegister } from '../application/gateway/device-register.ts';
import { Identities } from '../application/gateway/identities.ts';
import { People } from '../application/gateway/people.ts';
import type { Clock } from '../ports/clock.ts';
import type { ConversationViews } from '../ports/conversation-views.ts';
import type { Log } from '../ports/log.ts';
import type { GatewayConfig } from './configuration/gateway.ts';
import { presenceOf } from './gateway-presence.ts';

export interface PeopleNeeds {
  readonly nats: Nats;
  readonly appender: JetstreamConversationLog;
  readonly gateway: string;
  readonly views: ConversationViews;
  readonly tokens: JwtTokens;
  readonly config: GatewayConfig;
  readonly clock: Clock;
  readonly log: Log;
}

export async function peopleOf({ nats, gateway, appender, views, tokens, config, clock, log }: PeopleNeeds) {
  const { nc, js, jsm } = nats;
  const accountLog = new JetstreamAccountLog({ nc, jsm }, appender);
  const follower = new JetstreamAccountFollower({ nc, js, jsm, log });
  const isOpen = config.accounts === 'open';
  const accounts = new Accounts({ log: accountLog, follower, clock, isOpen, logger: log });
  const identities = new Identities(tokens, accounts, clock);
  const online = await presenceOf({ nats, gateway, accounts, views, config, clock, log });
  const { presence } = online;
  const where = presence.where.bind(presence);
  const people = new People(accounts, clock, where);
  const devices = new DeviceRegister(accounts, where, clock, log);
  const counted = new JetstreamCountedNews(nc, gateway);
  return { accounts, people, identities, devices, presence, online, accountLog, counted };
}
