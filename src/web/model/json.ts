/** For people to read: bytes as the text they are, or in hexadecimal. */
const MAX_BYTES = 512;

export function shownAsJson(value: unknown): string {
  return JSON.stringify(value, (_key, part: unknown) => (part instanceof Uint8Array ? bytesAsText(part) : part), 2);
}

function bytesAsText(bytes: Uint8Array): string {
  const shown = bytes.subarray(0, MAX_BYTES);
  const more = bytes.length > MAX_BYTES ? `… (${bytes.length} bytes)` : '';
  try {
    return new TextDecoder('utf-8', { fatal: true }).decode(shown, { stream: more !== '' }) + more;
  } catch {
    return `0x${[...shown].map((byte) => byte.toString(16).padStart(2, '0')).join('')}${more}`;
  }
}
