/** A user's device as the generator plays it: connected and welcomed. */
import { signDevToken } from '../../src/adapters/jwt/tokens.ts';
import { type Resume, SUBPROTOCOL_MSGPACK } from '../../src/protocol/frames.ts';
import { decode, encode } from './frames.ts';
import { LightSocket, type OnMessage } from './socket.ts';

/** Longer than any run. */
const TOKEN_LIFETIME_MS = 3_600_000;
const WELCOME_WITHIN_MS = 30_000;

export interface Server {
  readonly url: string;
  /** File with the secret that tokens are signed with. */
  readonly secretFile: string;
}

export interface DeviceOptions {
  readonly server: Server;
  readonly user: string;
  readonly resume: Resume;
  /** All that comes after the welcome. */
  readonly onFrame: OnMessage;
  readonly device?: string;
  /** When the hello leaves. */
  readonly onHello?: () => void;
}

export interface Device {
  readonly socket: LightSocket;
  readonly user: string;
}

/** @throws when the gateway refuses, or gives no welcome in time */
export async function connectDevice({
  server: { url, secretFile },
  user,
  resume,
  onFrame,
  device = 'bench',
  onHello,
}: DeviceOptions): Promise<Device> {
  const token = await signDevToken(secretFile, user, TOKEN_LIFETIME_MS);
  let settle: ((frame: { t: string }) => void) | undefined;
  const welcome = new Promise<{ t: string }>((resolve) => (settle = resolve));
  const socket = await LightSocket.open(new URL(url), SUBPROTOCOL_MSGPACK, (payload) => {
    if (!settle) return onFrame(payload);
    settle(decode(payload));
    settle = undefined;
  });
  onHello?.();
  socket.send(encode({ t: 'hello', id: 0, token, device, resume }));
  let late: NodeJS.Timeout | undefined;
  const answer = await Promise.race([
    welcome,
    new Promise<never>((_, reject) => {
      late = setTimeout(() => reject(new Error(`${user} got no welcome`)), WELCOME_WITHIN_MS);
    }),
  ]);
  clearTimeout(late);
  if (answer.t !== 'welcome') throw new Error(`${user} got no welcome but ${JSON.stringify(answer)}`);
  return { socket, user };
}
