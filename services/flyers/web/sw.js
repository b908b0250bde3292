// The service worker: pictures at once and offline, the page and its last lists offline.
//
// Pictures never change under their address, so what is stored is the answer: the least
// recently used go first above 100 MB, and none is kept longer than seven days.

const ASSETS = '%ASSETS%';
const FILES = %FILES%;
const SHELL = `shell-${ASSETS}`;
const MEDIA = 'media';
const ANSWERS = 'answers';
const LIMIT_BYTES = 100 * 1024 * 1024;
const KEPT_MS = 7 * 24 * 3600 * 1000;
/** Answers kept for offline use; enough for the lists of some sessions. */
const MOST_ANSWERS = 100;
/** Where the list of pictures is kept: path, bytes, when stored, when last used. */
const INDEX = '/media/.index';
const PAGES = [/^\/$/, /^\/flyers\/\d+(\/edit)?$/, /^\/users\/\d+$/, /^\/(me|login|create)$/];
const counters = { hits: 0, misses: 0, evicted: 0 };

addEventListener('install', (event) => event.waitUntil((async () => {
  const cache = await caches.open(SHELL);
  await cache.addAll([...FILES.map((name) => `${ASSETS}/${name}`), '/']);
  await skipWaiting();
})()));

addEventListener('activate', (event) => event.waitUntil((async () => {
  const old = (await caches.keys()).filter((name) => name.startsWith('shell-') && name !== SHELL);
  await Promise.all(old.map((name) => caches.delete(name)));
  await clients.claim();
})()));

addEventListener('fetch', (event) => {
  const { request } = event;
  const url = new URL(request.url);
  if (request.method !== 'GET' || url.origin !== location.origin) return;
  if (url.pathname.startsWith('/media/')) event.respondWith(picture(event, url.pathname));
  else if (url.pathname.startsWith('/assets/')) event.respondWith(asset(request));
  else if (request.mode === 'navigate' && PAGES.some((page) => page.test(url.pathname))) event.respondWith(page(request));
  else if (url.pathname.startsWith('/api/')) event.respondWith(answer(event));
});

addEventListener('message', (event) => {
  const { kind, paths } = event.data;
  if (kind === 'forget') event.waitUntil(caches.delete(ANSWERS));
  if (kind === 'keep') event.waitUntil(keepAll(paths));
  if (kind === 'stats') event.waitUntil(tell(event.ports[0]));
});

async function tell(port) {
  const index = await readIndex();
  const bytes = [...index.values()].reduce((sum, entry) => sum + entry.bytes, 0);
  port.postMessage({ ...counters, pictures: index.size, bytes });
}

// The page itself

async function asset(request) {
  return (await caches.match(request, { ignoreVary: true })) ?? fetch(request);
}

async function page(request) {
  try {
    return await fetch(request);
  } catch {
    return (await caches.match('/', { cacheName: SHELL, ignoreVary: true })) ?? Response.error();
  }
}

// Answers of the API: always from the service while it can be reached

async function answer(event) {
  const { request } = event;
  try {
    const response = await fetch(request);
    if (response.ok) event.waitUntil(keepAnswer(request.url, response.clone()));
    return response;
  } catch (error) {
    const kept = request.cache === 'reload' ? null : await caches.match(request.url, { cacheName: ANSWERS, ignoreVary: true });
    if (!kept) throw error;
    const headers = new Headers(kept.headers);
    headers.set('x-offline', '1');
    return new Response(kept.body, { status: 200, headers });
  }
}

async function keepAnswer(url, response) {
  const cache = await caches.open(ANSWERS);
  await cache.put(url, response);
  const keys = await cache.keys();
  await Promise.all(keys.slice(0, Math.max(0, keys.length - MOST_ANSWERS)).map((key) => cache.delete(key)));
}

// Pictures

let index = null;
let writing = null;

async function readIndex() {
  if (index) return index;
  const stored = await (await caches.open(MEDIA)).match(INDEX);
  const entries = stored ? await stored.json() : [];
  index ??= new Map(entries);
  return index;
}

/** Many pictures arrive together: their entries are written once. */
function writeIndex() {
  writing ??= new Promise((resolve) => { setTimeout(resolve, 500); }).then(async () => {
    writing = null;
    const cache = await caches.open(MEDIA);
    await cache.put(INDEX, Response.json([...index]));
  });
  return writing;
}

async function picture(event, path) {
  const cache = await caches.open(MEDIA);
  const entries = await readIndex();
  const entry = entries.get(path);
  if (entry && Date.now() - entry.stored < KEPT_MS) {
    const kept = await cache.match(path);
    if (kept) {
      counters.hits += 1;
      use(path, { ...entry, used: Date.now() });
      event.waitUntil(writeIndex());
      return kept;
    }
  }
  counters.misses += 1;
  const response = await fetch(event.request);
  if (response.status === 200 && response.type === 'basic') event.waitUntil(keep(path, response.clone()));
  return response;
}

/** The map is in order of use: what was used last stands last. */
function use(path, entry) {
  index.delete(path);
  index.set(path, entry);
}

async function keep(path, response) {
  const body = await response.blob();
  const cache = await caches.open(MEDIA);
  const entries = await readIndex();
  await cache.put(path, new Response(body, { headers: { 'content-type': response.headers.get('content-type') ?? '' } }));
  use(path, { bytes: body.size, stored: Date.now(), used: Date.now() });
  let bytes = [...entries.values()].reduce((sum, entry) => sum + entry.bytes, 0);
  for (const [oldest, entry] of entries) {
    if (bytes <= LIMIT_BYTES && Date.now() - entry.stored < KEPT_MS) continue;
    if (oldest === path) continue;
    bytes -= entry.bytes;
    counters.evicted += 1;
    entries.delete(oldest);
    await cache.delete(oldest);
  }
  await writeIndex();
}

/** Pictures that were loaded before the worker took over: the browser still has them. */
async function keepAll(paths) {
  const entries = await readIndex();
  for (const path of paths.filter((path) => path.startsWith('/media/') && !entries.has(path))) {
    const response = await fetch(path, { cache: 'force-cache' }).catch(() => null);
    if (response?.status === 200) await keep(path, response);
  }
}
