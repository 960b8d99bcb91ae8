/**
 * WebSocket close codes. The range alone tells a client what to do:
 * 4000–4099 reconnect with backoff · 4100–4199 get a new token, then reconnect · 4200–4299 stop, a person must act.
 */
export const closeCodes = {
  SHUTTING_DOWN: 4000,
  HEARTBEAT_TIMEOUT: 4001,
  INTERNAL: 4002,
  TOO_FAR_BEHIND: 4003,
  HELLO_TIMEOUT: 4004,
  OVERLOADED: 4005,
  TOO_MANY_UNGREETED: 4006,
  SESSION_IN_DOUBT: 4007,
  TOKEN_EXPIRED: 4100,
  TOKEN_INVALID: 4101,
  TOKEN_REVOKED: 4102,
  SESSION_REPLACED: 4200,
  PROTOCOL_VIOLATION: 4201,
  UNSUPPORTED_SUBPROTOCOL: 4202,
  DEVICE_DISPLACED: 4203,
  ACCOUNT_DEACTIVATED: 4210,
  ACCOUNT_UNKNOWN: 4211,
  DEVICE_REVOKED: 4212,
} as const;

export type CloseReason = keyof typeof closeCodes;

export type AfterClose = 'reconnect' | 'reauthenticate' | 'stop';

/** What a client does after `code`. Codes outside our ranges come from the network or a proxy: reconnect. */
export function afterClose(code: number): AfterClose {
  if (code >= 4100 && code <= 4199) return 'reauthenticate';
  if (code >= 4200 && code <= 4299) return 'stop';
  return 'reconnect';
}
