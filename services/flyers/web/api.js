// Talking to the service: requests, who is signed in, and what is remembered for the session.

import { stats } from './stats.js';

const BASE = '/api/v1';
const TIMEOUT_MS = 60_000;
const SESSION_KEY = 'flyers.session';
const REMEMBERED = 'flyers.remembered:';
/** More entries than a long session of browsing makes; the oldest go first. */
const MOST_REMEMBERED = 200;

/** An answer that says what is wrong: `application/problem+json`. */
export class Problem extends Error {
  constructor(status, body) {
    super(body?.detail || `The service answered ${status}.`);
    this.status = status;
    this.fields = body?.fields ?? {};
    this.body = body ?? {};
  }
}

/** No answer at all. */
export class Unreachable extends Error {
  constructor() {
    super('The service cannot be reached.');
  }
}

/** Tells views of changes: `account`, `card` (detail: id and change), `offline` (detail: boolean). */
export const events = new EventTarget();

const tell = (name, detail) => events.dispatchEvent(new CustomEvent(name, { detail }));

// Who is signed in

let session = readSession();

function readSession() {
  try {
    const stored = JSON.parse(localStorage.getItem(SESSION_KEY));
    if (!stored?.token) return null;
    const claims = JSON.parse(atob(stored.token.split('.')[1].replaceAll('-', '+').replaceAll('_', '/')));
    return claims.exp * 1000 > Date.now() ? stored : null;
  } catch {
    return null;
  }
}

export const signedIn = () => session !== null;
export const userId = () => session?.userId ?? null;
export const token = () => session?.token ?? null;

function setSession(next) {
  session = next;
  if (next) localStorage.setItem(SESSION_KEY, JSON.stringify(next));
  else localStorage.removeItem(SESSION_KEY);
  forgetAll();
  // What the worker keeps for offline use belongs to whoever was signed in.
  navigator.serviceWorker?.controller?.postMessage({ kind: 'forget' });
  tell('account');
}

export async function signIn(path, body) {
  const answer = await send('POST', path, body, { anonymous: true });
  setSession({ token: answer.token, userId: answer.user_id });
}

export function signOut() {
  localStorage.removeItem('flyers.filter');
  setSession(null);
}

/** The service no longer takes the token of `asker`. Several requests may hear of it at once. */
export function sessionEnded(asker = session) {
  if (!session || session !== asker) return;
  signOut();
  tell('expired');
}

// In another tab somebody signed in or out.
addEventListener('storage', (event) => {
  if (event.key !== SESSION_KEY) return;
  session = readSession();
  forgetAll();
  tell('account');
});

// Requests

let offline = false;

function setOffline(now) {
  if (offline === now) return;
  offline = now;
  tell('offline', now);
}

export const isOffline = () => offline;

async function call(method, path, { body, signal, anonymous, fresh } = {}) {
  const headers = { accept: 'application/json' };
  if (session && !anonymous) headers.authorization = `Bearer ${session.token}`;
  if (body !== undefined) headers['content-type'] = 'application/json';
  const limit = AbortSignal.timeout(TIMEOUT_MS);
  try {
    return await fetch(BASE + path, {
      method,
      headers,
      body: body === undefined ? undefined : JSON.stringify(body),
      signal: signal ? AbortSignal.any([signal, limit]) : limit,
      // The service says `no-cache` with an ETag: the browser asks whether its copy holds.
      cache: fresh ? 'reload' : 'default',
    });
  } catch (error) {
    if (signal?.aborted) throw error;
    setOffline(true);
    throw new Unreachable();
  }
}

async function read(response) {
  setOffline(response.headers.has('x-offline'));
  if (response.status === 204) return null;
  const body = await response.json().catch(() => null);
  if (!response.ok) throw new Problem(response.status, body);
  if (body === null) throw new Problem(response.status, { detail: 'The answer of the service cannot be read.' });
  return body;
}

export async function get(path, options = {}) {
  const asker = options.anonymous ? null : session;
  const response = await call('GET', path, options);
  if (response.status === 401 && asker) {
    sessionEnded(asker);
    // What is shown to everybody is shown now, too.
    return read(await call('GET', path, { ...options, anonymous: true }));
  }
  return read(response);
}

export async function send(method, path, body, options = {}) {
  const asker = options.anonymous ? null : session;
  const response = await call(method, path, { ...options, body });
  if (response.status === 401 && asker) sessionEnded(asker);
  return read(response);
}

// What is remembered for the session: in memory, with a copy that survives a new document in
// the same tab. Signing in or out, a reload and a pull to refresh forget it.

const memory = new Map();
const underway = new Map();

function restore() {
  const reloaded = performance.getEntriesByType('navigation')[0]?.type === 'reload';
  for (const key of Object.keys(sessionStorage).filter((key) => key.startsWith(REMEMBERED))) {
    if (reloaded) sessionStorage.removeItem(key);
    else memory.set(key.slice(REMEMBERED.length), JSON.parse(sessionStorage.getItem(key)));
  }
}
restore();

function remember(path, value) {
  memory.delete(path);
  memory.set(path, value);
  if (memory.size > MOST_REMEMBERED) forget((key) => key === memory.keys().next().value);
  try {
    sessionStorage.setItem(REMEMBERED + path, JSON.stringify(value));
  } catch {
    // A full store is no reason to fail: the copy in memory serves this document.
  }
}

/** What `path` answered in this session; asks once if nobody has. */
export async function remembered(path, { fresh = false } = {}) {
  if (!fresh && memory.has(path)) {
    stats.session.hits += 1;
    return memory.get(path);
  }
  if (!fresh && underway.has(path)) return underway.get(path);
  stats.session.misses += 1;
  const owner = session;
  const answer = get(path, { fresh })
    .then((value) => {
      // Whoever asked may have signed out meanwhile; an offline copy is for now only.
      if (session === owner && !offline) remember(path, value);
      return value;
    })
    .finally(() => underway.delete(path));
  underway.set(path, answer);
  return answer;
}

export const isRemembered = (path) => memory.has(path);

export function forget(which) {
  for (const key of [...memory.keys()].filter(which)) {
    memory.delete(key);
    sessionStorage.removeItem(REMEMBERED + key);
  }
}

export const forgetAll = () => forget(() => true);

/** Applies a change to every remembered copy of the flyers that `which` picks, and tells the views. */
export function changeCards(which, change) {
  // A copy: remembering moves an entry to the end of the map.
  for (const [path, value] of [...memory]) {
    const cards = value?.results?.filter(which) ?? [];
    if (cards.length === 0) continue;
    cards.forEach(change);
    remember(path, value);
  }
  tell('card', { which, change });
}

/** The query string of what is given; nothing is left out but null, undefined and ''. */
export function query(values) {
  const pairs = Object.entries(values).filter(([, value]) => value !== null && value !== undefined && value !== '');
  return new URLSearchParams(pairs).toString();
}

/** A sentence for whatever went wrong. */
export function explain(error) {
  if (error instanceof Unreachable) return 'You seem to be offline. Nothing was changed; try again in a moment.';
  if (error instanceof Problem && error.status >= 500 && error.status !== 503) {
    return 'Something went wrong on our side. Try again in a moment.';
  }
  const text = error?.message || 'Something went wrong.';
  const sentence = text[0].toUpperCase() + text.slice(1);
  return /[.!?]$/.test(sentence) ? sentence : `${sentence}.`;
}
