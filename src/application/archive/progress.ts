/** How far something long has come. */
export interface ArchiveProgress {
  /** What is being done: a stream's name, or a step. */
  readonly step: string;
  readonly done: number;
  readonly total: number;
  /** Of both; events where it is not said. */
  readonly unit?: 'bytes';
}

export type OnProgress = (progress: ArchiveProgress) => void;
