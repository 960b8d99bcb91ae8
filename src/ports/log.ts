/** Structured logging: each line has a `what`; never a body, a token or a key. pino's Logger fits. */
export interface Log {
  info(line: LogLine): void;
  warn(line: LogLine): void;
  error(line: LogLine): void;
}

export interface LogLine {
  readonly what: string;
  readonly [field: string]: unknown;
}
