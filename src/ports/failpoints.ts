/** Named places where a test can make the process die. In production `hit` does nothing. */
export interface Failpoints<Step extends string> {
  hit(step: Step): void;
}
