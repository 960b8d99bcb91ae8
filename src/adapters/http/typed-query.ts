import type { TObject } from 'typebox';

/** A query string is all text: what the schema has as a number, boolean or list is read as one, else left for it to refuse. */
export function typedQuery(query: Record<string, string | string[]>, { properties }: TObject): Record<string, unknown> {
  const read = Object.entries(query).flatMap(([name, text]): [string, unknown][] => {
    const { type } = (Object.hasOwn(properties, name) ? properties[name] : {}) as { type?: string };
    if (type === 'array') return [[name, [text].flat()]];
    if (type === 'integer') return [[name, numberIn(text)]];
    // What is not so is left out, as on the wire.
    if (type === 'boolean') return text === 'false' ? [] : [[name, text === 'true' ? true : text]];
    return [[name, text]];
  });
  return Object.fromEntries(read);
}

export const numberIn = (text: string | string[]): unknown =>
  typeof text === 'string' && /^\d{1,16}$/.test(text) ? Number(text) : text;
