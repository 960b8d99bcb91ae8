/** The rules of the code that a program can check. Each failure names the file, the line and the rule. */
import { execFile } from 'node:child_process';
import { existsSync, globSync, readFileSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';
import t, { type Test } from 'tap';
import ts from 'typescript';
import { errorCodes } from '../src/protocol/error-codes.ts';

const ROOT = join(import.meta.dirname, '..');
const MAX_FILE_LINES = 400;
const MAX_FUNCTION_LINES = 70;
/** The slowest tool takes some seconds alone and shares its cores with the other tests. */
const TOOL_TIMEOUT_MS = 120_000;

const FOLDERS = ['src', 'test', 'bench', 'scripts', 'bin', 'streams', 'config', 'docs'];
const VAGUE_NAME = /(^|-)(utils?|helpers?|common|managers?)(-|\.|$)/i;
const KEBAB_CASE = /^[a-z0-9]+(-[a-z0-9]+)*(\.[a-z0-9]+)*$/;
/** Names that others fix: pages shown by code hosts, and the tools' own. */
const FIXED_NAME = /^([A-Z][A-Z_]*\.md|tsconfig\.[a-z]+\.json|\.[a-z]+)$/;
const LONG_BECAUSE = /^\s*\/\/ long because: \S/m;
/** The environment is read where configuration is put together, and nowhere else. */
const READS_ENVIRONMENT = /^src\/(processes\/configuration|cli)\//;
const LEFT_OPEN = /\b(TODO|FIXME)\b/;

const sources = filesUnder(['src', 'test', 'bench', 'scripts'], '**/*.{ts,tsx,mts}').map((path) => {
  const text = readFileSync(join(ROOT, path), 'utf8');
  return { path, text, tree: ts.createSourceFile(path, text, ts.ScriptTarget.Latest, true) };
});
type Source = (typeof sources)[number];

t.test('names are in kebab-case and say what is inside', async (t) => {
  const wrong = filesUnder(FOLDERS, '**/*').flatMap((path) => {
    const parts = [...dirname(path).split('/'), basename(path)].filter((part) => !FIXED_NAME.test(part));
    return parts.every((part) => KEBAB_CASE.test(part) && !VAGUE_NAME.test(part)) ? [] : [path];
  });
  t.same(wrong, []);
});

t.test('a file tells one story and a function fits a screen, or the file says why not', async (t) => {
  const tooLong = sources
    .filter(({ text }) => !LONG_BECAUSE.test(text))
    .flatMap((source) => [...longFile(source), ...longFunctions(source)]);
  t.same(tooLong, []);
});

t.test('the environment is read by the configuration alone', async (t) => {
  const inProduct = sources.filter(({ path }) => path.startsWith('src/') && !READS_ENVIRONMENT.test(path));
  t.same(inProduct.flatMap(readsOfEnvironment), []);
});

t.test('nothing is left open in a comment', async (t) => {
  t.same(sources.flatMap(openComments), []);
});

t.test('every error code has its cause and cure in docs/ERRORS.md', async (t) => {
  const page = join(ROOT, 'docs/ERRORS.md');
  const text = existsSync(page) ? readFileSync(page, 'utf8') : '';
  const missing = Object.keys(errorCodes).filter((code) => !new RegExp(`\\b${code}\\b`).test(text));
  t.same(missing, []);
});

t.test('types hold, also where Node and the browser are not there', async (t) => {
  const projects = ['tsconfig.json', ...globSync('src/**/tsconfig.json', { cwd: ROOT }).sort()];
  for (const project of projects.filter((path) => sources.some((source) => isUnder(dirname(path), source.path)))) {
    await content(t, 'tsc', '--noEmit', '-p', project);
  }
});

t.test('format and lint hold', async (t) => {
  await content(t, 'biome', 'check', '--colors=off', '--max-diagnostics=100', '.');
});

t.test('imports go one way', async (t) => {
  await content(t, 'depcruise', '--config', '.dependency-cruiser.cjs', '--output-type', 'err', 'src');
});

function filesUnder(folders: readonly string[], pattern: string): string[] {
  const found = globSync(
    folders.map((folder) => `${folder}/${pattern}`),
    { cwd: ROOT, withFileTypes: true, exclude: (entry) => entry.name === 'node_modules' },
  );
  return found
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath, entry.name).slice(ROOT.length + 1))
    .sort();
}

/** The SDK's folder for Node is outside the SDK's own check, so it alone does not make that check run. */
function isUnder(folder: string, path: string): boolean {
  return folder === '.' || (path.startsWith(`${folder}/`) && !path.startsWith(`${folder}/node/`));
}

function longFile({ path, text }: Source): string[] {
  const lines = text.trimEnd().split('\n').length;
  return lines > MAX_FILE_LINES ? [`${path}: ${lines} lines`] : [];
}

function longFunctions(source: Source): string[] {
  return visit(source, (node) => {
    if (!ts.isFunctionLike(node) || !('body' in node) || !node.body) return undefined;
    const lines = lineOf(source, node.getEnd()) - lineOf(source, node.getStart()) + 1;
    return lines > MAX_FUNCTION_LINES ? `a function of ${lines} lines` : undefined;
  });
}

function readsOfEnvironment(source: Source): string[] {
  return visit(source, (node) => {
    const read = ts.isPropertyAccessExpression(node) && node.getText() === 'process.env';
    const taken =
      ts.isImportDeclaration(node) &&
      /^'(node:)?process'$/.test(node.moduleSpecifier.getText()) &&
      /\benv\b/.test(node.importClause?.getText() ?? '');
    return read || taken ? 'reads the environment' : undefined;
  });
}

/** Comments only: a word in a string or a pattern leaves nothing open. */
function openComments({ path, text, tree }: Source): string[] {
  const found = new Set<number>();
  const look = (node: ts.Node): void => {
    const ranges = [
      ...(ts.getLeadingCommentRanges(text, node.getFullStart()) ?? []),
      ...(ts.getTrailingCommentRanges(text, node.getEnd()) ?? []),
    ];
    for (const { pos, end } of ranges) if (LEFT_OPEN.test(text.slice(pos, end))) found.add(pos);
    for (const child of node.getChildren(tree)) look(child);
  };
  look(tree);
  return [...found].map((position) => `${path}:${tree.getLineAndCharacterOfPosition(position).line + 1}`);
}

function visit(source: Source, complaint: (node: ts.Node) => string | undefined): string[] {
  const found: string[] = [];
  const step = (node: ts.Node): void => {
    const said = complaint(node);
    if (said) found.push(`${source.path}:${lineOf(source, node.getStart())}: ${said}`);
    ts.forEachChild(node, step);
  };
  step(source.tree);
  return found;
}

function lineOf({ tree }: Source, position: number): number {
  return tree.getLineAndCharacterOfPosition(position).line + 1;
}

/** Fails with all that the tool says, unless it is content. */
async function content(t: Test, tool: string, ...args: string[]): Promise<void> {
  const command = join(ROOT, 'node_modules', '.bin', tool);
  await new Promise<void>((resolve) => {
    execFile(command, args, { cwd: ROOT, timeout: TOOL_TIMEOUT_MS }, (error, stdout, stderr) => {
      const said = `${stdout}${stderr}`.trim() || error?.message;
      t.ok(error === null, [tool, ...args].join(' '), { said, source: '' });
      resolve();
    });
  });
}
