import t from 'tap';
import { TapReport } from '../../scripts/tap-report.ts';

const DIAGNOSTICS = (indent: string): string[] => [`${indent}  ---`, `${indent}  exitCode: 1`, `${indent}  ...`];

function read(...lines: string[]): { counted: string; printed: string[]; report: TapReport } {
  const printed: string[] = [];
  const report = new TapReport((line) => printed.push(line));
  for (const line of lines) report.line(line);
  return { counted: `${report.passed} passed, ${report.failed} failed, ${report.skipped} skipped`, printed, report };
}

t.test('tests are counted, not their assertions', async (t) => {
  const { counted, printed } = read(
    'TAP version 14',
    '# Subtest: a.test.ts',
    '    # Subtest: one',
    '        ok 1 - yes',
    '        ok 2 - yes',
    '        1..2',
    '    ok 1 - one # time=1ms',
    '    1..1',
    'ok 1 - a.test.ts # time=2ms',
    '1..1',
  );
  t.equal(counted, '1 passed, 0 failed, 0 skipped');
  t.same(printed, ['✔ a.test.ts (1 tests, 2ms)']);
});

t.test('a failure is printed once, where it happened, with its diagnostics', async (t) => {
  const { counted, printed, report } = read(
    '# Subtest: a.test.ts',
    '    # Subtest: one',
    '        # Subtest: deep',
    '            not ok 1 - wrong',
    ...DIAGNOSTICS('            '),
    '        not ok 1 - deep # time=1ms',
    ...DIAGNOSTICS('        '),
    '    not ok 1 - one # time=1ms',
    ...DIAGNOSTICS('    '),
    'not ok 1 - a.test.ts # time=1ms',
    ...DIAGNOSTICS(''),
  );
  t.equal(counted, '0 passed, 1 failed, 0 skipped');
  t.same(printed, ['✘ a.test.ts › one › deep › wrong', '      exitCode: 1', '✘ a.test.ts']);
  t.same(report.failures, printed, 'all of it is kept for the end of the output');
});

t.test('a file that asserts nothing has failed, with tests or without', async (t) => {
  const none = read('# Subtest: a.test.ts', '    1..0 # no tests found', 'ok 1 - a.test.ts # SKIP no tests found');
  t.equal(none.counted, '0 passed, 1 failed, 0 skipped');
  const hollow = read(
    '# Subtest: a.test.ts',
    '    # Subtest: one',
    '        1..0',
    '    ok 1 - one # time=1ms',
    'ok 1 - a.test.ts # time=1ms',
  );
  t.equal(hollow.counted, '0 passed, 1 failed, 0 skipped');
});

t.test('a file that crashes counts as a failure, and says how it ended', async (t) => {
  const { counted, printed, report } = read(
    '# Subtest: a.test.ts',
    '    # Subtest: one',
    '        ok 1 - yes',
    '    ok 1 - one # time=1ms',
    'not ok 1 - a.test.ts # time=1ms',
    ...DIAGNOSTICS(''),
  );
  t.equal(counted, '1 passed, 1 failed, 0 skipped');
  t.ok(printed.includes('      exitCode: 1'));
  t.same(report.failedFiles, [{ name: 'a.test.ts', passed: 1, failed: 1, skipped: 0 }]);
});

t.test('skipped and todo tests are no passes', async (t) => {
  const { counted } = read(
    '# Subtest: a.test.ts',
    '    ok 1 - later # SKIP',
    '    not ok 2 - one day # TODO soon',
    '    ok 3 - yes',
    'ok 1 - a.test.ts # time=1ms',
  );
  t.equal(counted, '1 passed, 0 failed, 2 skipped');
});

t.test('points quoted in diagnostics are not counted; what a test prints is shown', async (t) => {
  const { counted, printed, report } = read(
    '# Subtest: a.test.ts',
    '    not ok 1 - wrong',
    '      ---',
    '        ok 1 - quoted',
    '      ...',
    '    chatter',
    'not ok 1 - a.test.ts # time=1ms',
    'Bail out! enough',
  );
  t.equal(counted, '0 passed, 1 failed, 0 skipped');
  t.ok(printed.includes('    chatter'));
  t.ok(report.bailedOut);
});
