/** The epoch of a cursor: the identity of its INBOX stream, and which past the stream had (projections/lineage.ts). */

export const epochOf = (stream: string, past: string): string => (past === '' ? stream : `${stream}.${past}`);

export function partsOf(epoch: string): { readonly stream: string; readonly past: string } {
  const [stream = '', ...past] = epoch.split('.');
  return { stream, past: past.join('.') };
}
