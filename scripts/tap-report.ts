/**
 * Reads the TAP of a whole run, one line at a time, prints what a person wants to see of it, and counts.
 *
 * TAP nests by four spaces: a test file at the margin, its tests one level in. Tests are what is counted, not their
 * assertions. A file that fails by itself (a crash, a timeout) or that asserted nothing counts as one failed test.
 */

/** An `ok` or `not ok` line; `description` may end in a directive or in the time taken. */
const POINT = /^( *)(not )?ok \d+(?: - (.*?))?(?: # (SKIP|TODO)\b *(.*?))?(?: # time=(\S+))?$/;
const SUBTEST = /^( *)# Subtest: (.*)$/;
const BAIL_OUT = /^ *Bail out! *(.*)$/;
/** What is left of TAP that a person need not see: plans, comments, pragmas, blank lines. */
const SILENT = /^ *(TAP version \d+|\d+\.\.\d+.*|#.*|pragma .*|)$/;
const NO_TESTS = /^no tests found/;

interface Point {
  readonly depth: number;
  readonly failed: boolean;
  readonly name: string;
  readonly directive: string | undefined;
  readonly reason: string;
  readonly time: string;
  /** It is the outcome of a nested test, not an assertion. */
  readonly isTest: boolean;
}

export interface FileCount {
  readonly name: string;
  readonly passed: number;
  readonly failed: number;
  readonly skipped: number;
}

export class TapReport {
  passed = 0;
  failed = 0;
  skipped = 0;
  bailedOut = false;
  /** What was printed of failures, once more: the end of a long output is what is kept and read. */
  readonly failures: string[] = [];
  /** Test files that failed, with what was counted of each. */
  readonly failedFiles: FileCount[] = [];

  readonly #print: (line: string) => void;
  /** The names of the tests that are open, the file's first. */
  readonly #open: string[] = [];
  /** By depth: a failure inside the open test has been printed already. */
  readonly #explained: boolean[] = [];
  #fileStart = { passed: 0, failed: 0, skipped: 0 };
  #assertions = 0;
  /** After a point: the line that ends its diagnostics (undefined: none have begun), and whether they are shown. */
  #diagnostics: { readonly indent: string; readonly show: boolean; begun: boolean } | undefined;

  constructor(print: (line: string) => void) {
    this.#print = print;
  }

  line(line: string): void {
    if (this.#insideDiagnostics(line)) return;
    const subtest = SUBTEST.exec(line);
    if (subtest) {
      this.#open[depthOf(subtest[1])] = subtest[2] ?? '';
      return;
    }
    const point = POINT.exec(line);
    const bail = BAIL_OUT.exec(line);
    if (point) this.#point(point);
    else if (bail) {
      if (!this.bailedOut) this.#printFailure(`✘ ${[...this.#open, 'bailed out'].join(' › ')}: ${bail[1]}`);
      this.bailedOut = true;
    } else if (!SILENT.test(line)) {
      this.#print(line.trimEnd());
    }
  }

  #insideDiagnostics(line: string): boolean {
    const diagnostics = this.#diagnostics;
    if (!diagnostics) return false;
    const { indent, show, begun } = diagnostics;
    if (!begun && line !== `${indent}  ---`) {
      this.#diagnostics = undefined;
      return false;
    }
    diagnostics.begun = true;
    const ended = line === `${indent}  ...`;
    if (ended) this.#diagnostics = undefined;
    else if (show && line !== `${indent}  ---`) this.#printFailure(`    ${line.slice(indent.length)}`);
    return true;
  }

  #point([, indent = '', not, name = '', directive, reason = '', time = '']: RegExpExecArray): void {
    const depth = depthOf(indent);
    const failed = Boolean(not) && directive === undefined;
    const isTest = this.#open.length > depth;
    const point = { depth, failed, name, directive, reason, time, isTest };
    const explained = this.#explained[depth + 1] ?? false;
    this.#open.length = Math.min(this.#open.length, depth);
    this.#explained.length = Math.min(this.#explained.length, depth + 1);
    if (!isTest && depth > 0 && directive === undefined) this.#assertions += 1;
    if (depth === 1) this.#countTest(point);
    if (depth === 0) this.#endFile(point);

    const show = failed && !explained;
    if (show && depth > 0) this.#printFailure(`✘ ${[...this.#open, name].join(' › ')}`);
    if (failed) this.#explained[depth] = true;
    this.#diagnostics = { indent, show, begun: false };
  }

  #printFailure(line: string): void {
    this.#print(line);
    this.failures.push(line);
  }

  #countTest({ failed, directive, name, reason }: Point): void {
    if (failed) this.failed += 1;
    else if (directive === undefined) this.passed += 1;
    else {
      this.skipped += 1;
      // What --grep leaves out nobody wants listed.
      if (reason.startsWith('filter: ')) return;
      this.#print(`- ${this.#open.join(' › ')} › ${name} (${directive.toLowerCase()}${reason && `: ${reason}`})`);
    }
  }

  #endFile({ failed, name, directive, reason, time }: Point): void {
    const start = this.#fileStart;
    const passed = this.passed - start.passed;
    const setAside = this.skipped > start.skipped || (directive !== undefined && !NO_TESTS.test(reason));
    const empty = !failed && this.#assertions === 0 && !setAside;
    if (failed || empty) {
      if (this.failed === start.failed) this.failed += 1;
      this.#printFailure(`✘ ${name}${empty ? ': no assertion ran' : ''}`);
    } else if (directive !== undefined) {
      this.skipped += 1;
      this.#print(`- ${name} (${directive.toLowerCase()}: ${reason})`);
    } else {
      this.#print(`✔ ${name} (${passed} tests, ${time})`);
    }
    if (empty) this.passed = start.passed;
    if (failed || empty) {
      this.failedFiles.push({
        name,
        passed: this.passed - start.passed,
        failed: this.failed - start.failed,
        skipped: this.skipped - start.skipped,
      });
    }
    this.#assertions = 0;
    this.#fileStart = { passed: this.passed, failed: this.failed, skipped: this.skipped };
  }
}

function depthOf(indent = ''): number {
  return indent.length / 4;
}
