// The page as a whole: which view belongs to which address, and what is around the view.

import { events, get, isOffline, remembered, signedIn, userId } from './api.js';
import { askToSignIn } from './card.js';
import { announce, ask, avatar, button, h, icon, link, state, toast } from './dom.js';
import { feed } from './feed.js';
import { loadedPictures, markReady } from './stats.js';

/** Each view: `(context) => {node, title, focus, ready, guard}`. */
const ROUTES = [
  [/^\/$/, async () => feed],
  [/^\/flyers\/(\d+)$/, async () => (await import('./detail.js')).detail],
  [/^\/flyers\/(\d+)\/edit$/, async () => (await import('./editor.js')).edit],
  [/^\/users\/(\d+)$/, async () => (await import('./profile.js')).profile],
  [/^\/me$/, async () => (await import('./me.js')).me],
  [/^\/login$/, async () => (await import('./login.js')).login],
  [/^\/create$/, async () => (await import('./editor.js')).create],
];

const main = document.getElementById('main');
const navigation = document.getElementById('navigation');
const banner = document.getElementById('banner');
const searchPlace = document.getElementById('search-place');

let leave = new AbortController();
let guard = null;
/** Where the feed was left, so that Home comes back to it. */
let wall = '/';
let run = 0;

async function show(scroll = 0, first = false) {
  const mine = run += 1;
  leave.abort();
  leave = new AbortController();
  guard = null;
  const { pathname, search } = location;
  const [pattern, load] = ROUTES.find(([path]) => path.test(pathname)) ?? [];
  let view;
  try {
    const make = load ? await load() : null;
    if (mine !== run) return;
    const context = {
      id: Number(pattern?.exec(pathname)[1]), search, signal: leave.signal, searchPlace, go, back,
    };
    view = make ? make(context) : missing();
  } catch {
    view = broken();
  }
  if (mine !== run) return;
  main.replaceChildren(view.node);
  main.dataset.view = pattern ? pathname.split('/')[1] || 'feed' : 'missing';
  document.title = `${view.title} · Flyers`;
  guard = view.guard ?? null;
  showNavigation();
  const heading = () => (view.focus?.isConnected ? view.focus : main);
  if (!first) heading().focus({ preventScroll: true });
  scrollTo(0, scroll);
  await view.ready;
  if (mine !== run) return;
  const title = view.retitle?.() ?? view.title;
  document.title = `${title} · Flyers`;
  if (!first) {
    // The heading may have come with the data; whoever moved on meanwhile is left alone.
    if ([main, document.body].includes(document.activeElement)) heading().focus({ preventScroll: true });
    announce(title);
  }
  if (scroll > 0) scrollTo(0, scroll);
  await markReady();
}

const missing = () => ({
  title: 'Not found',
  node: h('div', {}, h('h1', { class: 'hidden-text', tabindex: -1 }, 'Not found'),
    state('search', 'There is nothing here', 'The address may be wrong, or the flyer has been taken down.', link('/', 'button primary', 'See all flyers'))),
});

const broken = () => ({
  title: 'Offline',
  node: h('div', {}, h('h1', { class: 'hidden-text', tabindex: -1 }, 'Offline'),
    state('offline', 'This part of the page is not here yet', 'It needs a connection the first time.', button('Try again', 'primary', () => show(), 'refresh'))),
});

// Moving about

const mayLeave = async () => guard === null || !guard() || (await ask('Leave without saving?', 'What you changed here will be lost.', [
  ['leave', 'Leave', 'danger'], ['', 'Keep editing', 'primary'],
])) === 'leave';

export async function go(to, { replace = false } = {}) {
  if (!replace && !(await mayLeave())) return;
  if (replace) history.replaceState({ depth: history.state?.depth ?? 0 }, '', to);
  else {
    history.replaceState({ ...history.state, scroll: scrollY }, '');
    history.pushState({ depth: (history.state?.depth ?? 0) + 1 }, '', to);
  }
  await show();
}

/** Back to where one came from; to the feed for those who came from outside. */
export function back() {
  if ((history.state?.depth ?? 0) > 0) history.back();
  else go(wall);
}

addEventListener('go', ({ detail }) => go(detail));

addEventListener('click', (event) => {
  const anchor = event.target.closest?.('a[href]');
  if (!anchor || event.button !== 0 || event.metaKey || event.ctrlKey || event.shiftKey || event.altKey) return;
  const to = new URL(anchor.href);
  if (to.origin !== location.origin || anchor.target || anchor.hasAttribute('download')) return;
  if (!ROUTES.some(([path]) => path.test(to.pathname)) || (to.hash && to.pathname === location.pathname)) return;
  event.preventDefault();
  if (anchor.hasAttribute('data-home')) {
    if (location.pathname === '/') scrollTo({ top: 0, behavior: 'smooth' });
    else go(wall);
  } else go(to.pathname + to.search);
});

// Every change of the address passes here, the feed's own included.
let here = location.href;
function remember() {
  here = location.href;
  if (location.pathname === '/') wall = location.pathname + location.search;
}
for (const name of ['pushState', 'replaceState']) {
  const original = history[name].bind(history);
  history[name] = (...values) => {
    original(...values);
    remember();
  };
}
remember();

addEventListener('popstate', async (event) => {
  if (guard?.()) {
    const target = location.href;
    const wanted = event.state;
    // Stay, visibly, until the answer is known.
    history.pushState({ depth: (wanted?.depth ?? 0) + 1 }, '', here);
    if (!(await mayLeave())) return;
    history.replaceState(wanted, '', target);
  }
  remember();
  show(event.state?.scroll ?? 0);
});

addEventListener('beforeunload', (event) => { if (guard?.()) event.preventDefault(); });
addEventListener('pagehide', () => history.replaceState({ ...history.state, scroll: scrollY }, ''));
history.scrollRestoration = 'manual';

// What is around the view

async function showNavigation() {
  const current = (path) => (location.pathname === path ? 'page' : null);
  const person = h('span', { class: 'nav-icon' }, icon('person'));
  navigation.replaceChildren(
    h('a', { href: '/', class: 'tab', 'data-home': true, 'aria-current': current('/') }, h('span', { class: 'nav-icon' }, icon('grid')), h('span', {}, 'Wall')),
    h('a', {
      href: '/create', class: 'tab create', 'aria-current': current('/create'), on: {
        click: (event) => {
          if (signedIn()) return;
          event.preventDefault();
          event.stopPropagation();
          askToSignIn('put up flyers');
        },
      },
    }, h('span', { class: 'nav-icon' }, icon('plus')), h('span', {}, 'Create')),
    signedIn()
      ? h('a', { href: '/me', class: 'tab', 'aria-current': current('/me') }, person, h('span', {}, 'You'))
      : h('a', { href: '/login', class: 'tab', 'aria-current': current('/login') }, person, h('span', {}, 'Sign in')));
  if (!signedIn()) return;
  try {
    const { name, profile_picture_url: url } = await remembered(`/users/${userId()}/profile/`);
    person.replaceChildren(avatar(name, url, 'tiny'));
  } catch {
    // The drawn figure says enough.
  }
}

function showBanner() {
  banner.replaceChildren(...(isOffline()
    ? [h('p', {}, icon('offline'), 'You are offline. This is what was saved.', h('button', { type: 'button', on: { click: retry } }, 'Try again'))]
    : []));
}

async function retry() {
  try {
    await get('/categories/', { fresh: true });
    if (!isOffline()) show(scrollY);
  } catch {
    toast('Still offline.', 'error');
  }
}

events.addEventListener('offline', showBanner);
events.addEventListener('account', () => {
  wall = '/';
  showNavigation();
});
addEventListener('person', showNavigation);
events.addEventListener('expired', () => toast('Your session has ended. Sign in again.', 'error'));
addEventListener('online', () => { if (isOffline()) retry(); });

// The worker keeps pictures and the page for offline use. It starts once everything is
// shown, so that it does not compete with the first view.
async function startWorker() {
  if (!('serviceWorker' in navigator)) return;
  const { serviceWorker } = navigator;
  const hand = () => serviceWorker.controller?.postMessage({ kind: 'keep', paths: loadedPictures() });
  serviceWorker.addEventListener('controllerchange', hand);
  await serviceWorker.register('/sw.js', { scope: '/' }).catch(() => null);
}

await show(history.state?.scroll ?? 0, true);
startWorker();
