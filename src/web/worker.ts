/**
 * The service worker: keeps the page's own files, so that it opens without a connection. Files whose name changes with their
 * content are taken from what is kept; the page itself is asked for first. Messages are no business of this worker.
 */
export {};

/** The parts of the worker's world that are used: its types and the page's cannot be had together. */
interface WorkerScope {
  readonly location: Location;
  readonly clients: { claim(): Promise<void> };
  skipWaiting(): Promise<void>;
  addEventListener(type: 'install' | 'activate', listener: (event: Extendable) => void): void;
  addEventListener(type: 'fetch', listener: (event: Fetching) => void): void;
}
interface Extendable {
  waitUntil(work: Promise<unknown>): void;
}
interface Fetching extends Extendable {
  readonly request: Request;
  respondWith(answer: Promise<Response>): void;
}

const worker = self as unknown as WorkerScope;
/** Put in when it is built. */
const { version, names } = JSON.parse('__FILES__') as { version: string; names: string[] };
const STORE = `rookery-${version}`;
/** So long the page is waited for, before the kept one is shown. */
const PAGE_WITHIN_MS = 3_000;

worker.addEventListener('install', (event) => event.waitUntil(install()));
worker.addEventListener('activate', (event) => event.waitUntil(activate()));
worker.addEventListener('fetch', (event) => {
  const { request } = event;
  const { origin, pathname } = new URL(request.url);
  if (request.method !== 'GET' || origin !== worker.location.origin) return;
  if (request.mode === 'navigate' && pathname === '/') return event.respondWith(page(request));
  if (names.includes(pathname)) event.respondWith(kept(pathname, request));
});

async function install(): Promise<void> {
  const store = await caches.open(STORE);
  await store.addAll(names);
  await worker.skipWaiting();
}

async function activate(): Promise<void> {
  for (const name of await caches.keys()) if (name.startsWith('rookery-') && name !== STORE) await caches.delete(name);
  await worker.clients.claim();
}

async function page(request: Request): Promise<Response> {
  try {
    const answer = await fetch(request, { signal: AbortSignal.timeout(PAGE_WITHIN_MS) });
    if (answer.ok) return answer;
  } catch {
    // As where the answer is none.
  }
  return kept('/', request);
}

async function kept(name: string, request: Request): Promise<Response> {
  return (await caches.match(name)) ?? fetch(request);
}
