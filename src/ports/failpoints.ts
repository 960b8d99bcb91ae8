/** Named places where a test can make the process die, or stand still. In production `hit` does nothing. */
export interface Failpoints<Step extends string> {
  hit(step: Step): void;
  /** The step that is armed, for a place that must prepare its own death; undefined in production. */
  readonly armed: Step | undefined;
}
