/** What the traffic wrote down, as lines of JSON. Times are milliseconds of the traffic's own monotonic clock. */
import { createReadStream } from 'node:fs';
import { createInterface } from 'node:readline';

export type Recorded =
  /** Asked for now. `isRepeated`: the id was sent before, long ago. */
  | {
      readonly what: 'send';
      readonly by: string;
      readonly conversation: string;
      readonly id: string;
      readonly isRepeated: boolean;
    }
  | {
      readonly what: 'acked';
      readonly by: string;
      readonly conversation: string;
      readonly id: string;
      readonly pos: number;
    }
  | {
      readonly what: 'refused';
      readonly by: string;
      readonly conversation: string;
      readonly id: string;
      readonly code: string;
    }
  /** Handed to the app of a device. */
  | {
      readonly what: 'entry';
      readonly user: string;
      readonly device: string;
      readonly conversation: string;
      readonly type: string;
      readonly pos: number;
      readonly n?: number;
      readonly id?: string;
      readonly by?: string;
    }
  /** A device that lost something, or stopped. */
  | { readonly what: 'broken'; readonly user: string; readonly device: string; readonly reason: string };

export type Line = Recorded & { readonly at: number };

export async function readHistory(file: string): Promise<Line[]> {
  const lines: Line[] = [];
  for await (const text of createInterface({ input: createReadStream(file) })) lines.push(JSON.parse(text) as Line);
  return lines;
}
