// Counters of what was found in a cache and what was not, as `window.speedwellStats`.
//
// - `readyMs`: when the first view showed its data and every picture in the window was
//   there, in ms since the navigation began.
// - `session.hits`, `session.misses`: profile and creator data from memory or asked for.
// - `images.hits`, `images.misses`: distinct pictures of this document. A hit took no bytes
//   from the network: from the browser's cache or the service worker.
// - `hitRate(part)`: hits per load, 0 to 1, null when nothing was loaded.
// - `worker()`: the service worker's own counters, or null without one.

const seen = new Map();

export const stats = {
  readyMs: null,
  session: { hits: 0, misses: 0 },
  get images() {
    const values = [...seen.values()];
    const hits = values.filter(Boolean).length;
    return { hits, misses: values.length - hits };
  },
  hitRate(part) {
    const { hits, misses } = this[part];
    return hits + misses === 0 ? null : hits / (hits + misses);
  },
  async worker() {
    const worker = navigator.serviceWorker?.controller;
    if (!worker) return null;
    const { port1, port2 } = new MessageChannel();
    worker.postMessage({ kind: 'stats' }, [port2]);
    return new Promise((resolve) => { port1.onmessage = ({ data }) => resolve(data); });
  },
};
window.speedwellStats = stats;

/** Addresses of the pictures that this document has loaded. */
export const loadedPictures = () => [...seen.keys()];

function note(entry) {
  const path = new URL(entry.name).pathname;
  if (!path.startsWith('/media/') || entry.initiatorType !== 'img' || seen.has(path)) return;
  if (entry.responseStatus >= 400) return;
  seen.set(path, entry.transferSize === 0 && entry.decodedBodySize > 0);
}

new PerformanceObserver((list) => list.getEntries().forEach(note)).observe({ type: 'resource', buffered: true });

/** Called when the first view has its data: waits for the pictures that can be seen. */
export async function markReady() {
  if (stats.readyMs !== null) return;
  await new Promise((resolve) => requestAnimationFrame(() => requestAnimationFrame(resolve)));
  const visible = [...document.images].filter((image) => {
    const box = image.getBoundingClientRect();
    return box.width > 0 && box.bottom > 0 && box.top < innerHeight && box.right > 0 && box.left < innerWidth;
  });
  await Promise.all(visible.map((image) => image.complete || new Promise((resolve) => {
    image.addEventListener('load', resolve, { once: true });
    image.addEventListener('error', resolve, { once: true });
  })));
  stats.readyMs ??= performance.now();
}
