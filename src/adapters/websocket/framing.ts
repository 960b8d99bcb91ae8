/** A payload as one WebSocket frame from server to client (RFC 6455, 5.2): final, unmasked, uncompressed. */
import type { FrameOnWire } from '../../ports/client-connection.ts';

const FINAL_TEXT = 0x81;
const FINAL_BINARY = 0x82;

export const frameOnWire: FrameOnWire = (codec, payload, memory = Buffer.allocUnsafe) => {
  const { length } = payload;
  const headerBytes = length < 126 ? 2 : length < 65_536 ? 4 : 10;
  const wire = memory(headerBytes + length);
  wire[0] = codec.binary ? FINAL_BINARY : FINAL_TEXT;
  if (headerBytes === 2) {
    wire[1] = length;
  } else if (headerBytes === 4) {
    wire[1] = 126;
    wire.writeUInt16BE(length, 2);
  } else {
    wire[1] = 127;
    wire.writeBigUInt64BE(BigInt(length), 2);
  }
  wire.set(payload, headerBytes);
  return wire;
};
