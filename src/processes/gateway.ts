import type { Log } from '../ports/log.ts';
import type { GatewayConfig } from './configuration/gateway.ts';
export declare function startGateway(
  config: GatewayConfig,
  log: Log,
): Promise<{ address: string; drain(): Promise<void> }>;
