/**
 * Builds the web client into dist/web: what `make dev` serves and what is published. Vite puts the modules together; here
 * the service worker is told what there is to keep, each file gets its compressed twins, and the first load is weighed.
 */
import { createHash } from 'node:crypto';
import { globSync, readFileSync, writeFileSync } from 'node:fs';
import { extname, join } from 'node:path';
import { brotliCompressSync, gzipSync } from 'node:zlib';
import { build } from 'vite';

const ROOT = join(import.meta.dirname, '..');
const OUT = join(ROOT, 'dist', 'web');
/** Compressed script of the first load: what somebody on a slow line waits for. */
const MAX_SCRIPT_BYTES = 150 * 1_024;
const COMPRESSED = new Set(['.js', '.css', '.html', '.svg', '.webmanifest', '.json']);
/** What the worker is built with, in place of which its list of files stands. */
const FILES = '__FILES__';

await build({
  root: join(ROOT, 'src', 'web'),
  configFile: false,
  logLevel: 'warn',
  publicDir: join(ROOT, 'src', 'web', 'public'),
  // The other build of msgpackr tries whether it may make code of text: the page's policy forbids it, and says so each time.
  resolve: { alias: { msgpackr: join(ROOT, 'node_modules/msgpackr/dist/index-no-eval.min.js') } },
  oxc: { jsx: { runtime: 'automatic', importSource: 'preact' } },
  build: {
    outDir: OUT,
    emptyOutDir: true,
    target: 'es2022',
    assetsInlineLimit: 0,
    modulePreload: { polyfill: false },
    rollupOptions: {
      input: { index: join(ROOT, 'src/web/index.html'), worker: join(ROOT, 'src/web/worker.ts') },
      output: {
        // The browser compares the worker's file at one address: it has no hash in its name.
        entryFileNames: ({ name }) => (name === 'worker' ? 'worker.js' : 'assets/[name]-[hash].js'),
      },
    },
  },
});
listFilesInWorker();
const scriptBytes = compressAll();
console.log(`web client: ${(scriptBytes / 1_024).toFixed(1)} KiB of script, compressed`);
if (scriptBytes > MAX_SCRIPT_BYTES) throw new Error(`more script than the ${MAX_SCRIPT_BYTES} bytes of the first load`);

/** The list changes with any file, so the worker does: the browser sees that there is a new version. */
function listFilesInWorker(): void {
  const names = files().filter((name) => name !== 'worker.js');
  const hash = createHash('sha256');
  for (const name of names) hash.update(readFileSync(join(OUT, name)));
  const version = hash.digest('base64url').slice(0, 16);
  const worker = join(OUT, 'worker.js');
  const code = readFileSync(worker, 'utf8');
  if (!code.includes(FILES)) throw new Error('the worker has no place for its list of files');
  const list = JSON.stringify({ version, names: names.map((name) => (name === 'index.html' ? '/' : `/${name}`)) });
  writeFileSync(
    worker,
    code.replace(new RegExp(`["'\`]${FILES}["'\`]`), () => JSON.stringify(list)),
  );
}

/** @returns compressed bytes of the scripts that the page loads at first */
function compressAll(): number {
  const page = readFileSync(join(OUT, 'index.html'), 'utf8');
  let script = 0;
  for (const name of files().filter((name) => COMPRESSED.has(extname(name)))) {
    const content = readFileSync(join(OUT, name));
    const small = brotliCompressSync(content);
    writeFileSync(join(OUT, `${name}.br`), small);
    writeFileSync(join(OUT, `${name}.gz`), gzipSync(content, { level: 9 }));
    if (name.endsWith('.js') && page.includes(name)) script += small.length;
  }
  return script;
}

function files(): string[] {
  return globSync('**/*', { cwd: OUT, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath, entry.name).slice(OUT.length + 1))
    .filter((name) => !name.endsWith('.br') && !name.endsWith('.gz'))
    .sort();
}
