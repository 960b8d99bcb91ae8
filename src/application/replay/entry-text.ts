/** A value of an entry, or an entry, as one text: equal entries have equal texts, whatever kind of buffer holds their bytes. */
export function textOfEntry(value: unknown): string {
  if (value instanceof Uint8Array) return JSON.stringify(base64(value));
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return JSON.stringify(value) ?? '';
  const fields = Object.entries(value).map(([field, part]) =>
    part instanceof Uint8Array ? [field, base64(part)] : [field, part],
  );
  return JSON.stringify(Object.fromEntries(fields));
}

function base64(bytes: Uint8Array): string {
  let binary = '';
  for (const byte of bytes) binary += String.fromCharCode(byte);
  return btoa(binary);
}
