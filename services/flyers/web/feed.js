// The wall: all live flyers, with its filters, search, endless scrolling and pull to refresh.
//
// The filters are in the address, so that back, reload and a copied link keep them. The
// list itself is kept while one looks at a flyer and comes back to the same place.

import { events, explain, forgetAll, get, query, remembered, signedIn, Unreachable } from './api.js';
import { askToSignIn, card, refreshCards, skeletons } from './card.js';
import { announce, button, debounce, h, icon, state, toast } from './dom.js';
import { known, locate, quietly } from './place.js';
import { markReady } from './stats.js';

const PAGE = 20;
const SEARCH_WAIT_MS = 300;
/** The next page is asked for this far before the end comes into sight. */
const AHEAD = '900px';
/** Cards that may be in sight at first: their pictures do not wait for scrolling. */
const EAGER = 6;
const FILTER_KEY = 'flyers.filter';
/** Lists that are kept for coming back. */
const KEPT = 4;

const ORDERS = [['', 'Newest first'], ['distance', 'Nearest first'], ['smart', 'Best match']];
const lists = new Map();

events.addEventListener('account', () => lists.clear());
// A change of favorites or follows makes kept lists of them wrong.
events.addEventListener('card', () => {
  for (const key of lists.keys()) if (key.includes('filter=')) lists.delete(key);
});

/** Forgets all kept lists: a flyer was made, changed or deleted. */
export const dropLists = () => lists.clear();

export const filtersOf = (search) => {
  const given = new URLSearchParams(search);
  const kept = signedIn() ? localStorage.getItem(FILTER_KEY) : null;
  const filter = given.get('filter') ?? kept ?? 'all';
  return {
    filter: signedIn() && ['favorites', 'following'].includes(filter) ? filter : 'all',
    categories: (given.get('categories') ?? '').split(',').filter(Boolean),
    search: given.get('search') ?? '',
    near: given.has('near'),
    sort: ORDERS.some(([value]) => value === given.get('sort')) ? given.get('sort') : '',
  };
};

function address(filters) {
  const text = query({
    filter: filters.filter === 'all' ? '' : filters.filter,
    categories: filters.categories.join(','),
    search: filters.search,
    near: filters.near ? '1' : '',
    sort: filters.sort,
  });
  return text ? `/?${text}` : '/';
}

function request(filters, place, cursor) {
  return `/flyers/feed/?${query({
    page_size: PAGE,
    filter: filters.filter === 'all' ? '' : filters.filter,
    categories: filters.categories.join(','),
    search: filters.search,
    near_me: filters.near ? 'true' : '',
    sort: filters.sort,
    lat: place?.lat,
    lng: place?.lng,
  })}&cursor=${encodeURIComponent(cursor)}`;
}

export function feed({ search, signal, searchPlace }) {
  const filters = filtersOf(search);
  const list = h('ul', { class: 'wall', 'aria-label': 'Flyers' });
  const foot = h('div', { class: 'wall-foot' });
  const pulled = h('div', { class: 'pull', 'aria-hidden': 'true' }, icon('refresh'));
  const chips = h('div', { class: 'chips', role: 'group', 'aria-label': 'Categories' });
  const heading = h('h1', { class: 'hidden-text', tabindex: -1 }, 'Flyers near you');
  let current = null;
  let names = new Map();

  const go = (change, replace = true) => {
    Object.assign(filters, change);
    if (change.filter && signedIn()) localStorage.setItem(FILTER_KEY, change.filter);
    history[replace ? 'replaceState' : 'pushState']({ ...history.state, scroll: 0 }, '', address(filters));
    showFilters();
    return load();
  };

  // Filters

  const input = h('input', {
    type: 'search', id: 'search', placeholder: 'Search flyers', 'aria-label': 'Search flyers', maxlength: 100, autocomplete: 'off',
    enterkeyhint: 'search', value: filters.search,
  });
  const searchLater = debounce(() => go({ search: input.value.trim() }), SEARCH_WAIT_MS);
  input.addEventListener('input', searchLater);
  searchPlace.replaceChildren(h('search', {}, h('form', {
    class: 'search', on: {
      submit: (event) => {
        event.preventDefault();
        searchLater.cancel();
        go({ search: input.value.trim() });
        input.blur();
      },
    },
  }, icon('search'), input)));

  const segments = [['all', 'All'], ['favorites', 'Favorites'], ['following', 'Following']].map(([value, label]) =>
    h('button', {
      type: 'button', data: { value }, on: {
        click: () => {
          if (value !== 'all' && !signedIn()) return askToSignIn(value === 'favorites' ? 'see your favorites' : 'follow people');
          if (value !== filters.filter) go({ filter: value });
        },
      },
    }, label));
  const near = h('button', { type: 'button', class: 'chip', on: { click: () => chooseNear() } }, icon('near'), 'Near me');
  const order = h('select', { class: 'order', 'aria-label': 'Order', on: { change: () => chooseOrder(order.value) } },
    ORDERS.map(([value, label]) => h('option', { value }, label)));
  const refresh = h('button', { type: 'button', class: 'icon-button refresh', 'aria-label': 'Refresh', title: 'Refresh', on: { click: () => reload() } }, icon('refresh'));

  const withPlace = async (use) => {
    try {
      await locate();
      await use();
    } catch (error) {
      toast(error.message, 'error');
      showFilters();
    }
  };
  const chooseNear = () => (filters.near ? go({ near: false }) : withPlace(() => go({ near: true })));
  const chooseOrder = (sort) => (sort === 'distance' ? withPlace(() => go({ sort })) : go({ sort }));

  function showFilters() {
    for (const segment of segments) segment.setAttribute('aria-pressed', String(segment.dataset.value === filters.filter));
    for (const segment of segments.slice(1)) segment.classList.toggle('locked', !signedIn());
    near.setAttribute('aria-pressed', String(filters.near));
    order.value = filters.sort;
    for (const chip of chips.querySelectorAll('[data-slug]')) {
      chip.setAttribute('aria-pressed', String(filters.categories.includes(chip.dataset.slug)));
    }
    if (document.activeElement !== input) input.value = filters.search;
  }

  async function showCategories() {
    const { categories } = await remembered('/categories/').catch(() => ({ categories: [] }));
    names = new Map(categories.map(({ slug, name }) => [slug, name]));
    chips.replaceChildren(near, ...categories.map(({ slug, name }) => h('button', {
      type: 'button', class: 'chip', data: { slug }, on: {
        click: () => go({
          categories: filters.categories.includes(slug)
            ? filters.categories.filter((one) => one !== slug)
            : [...filters.categories, slug],
        }),
      },
    }, name)));
    showFilters();
  }

  // The list

  async function load({ fresh = false, keep = false } = {}) {
    const place = known() ?? await quietly();
    if (filters.near && !place) {
      list.replaceChildren();
      foot.replaceChildren(state('near', 'Where are you?', 'Near me needs your location.',
        button('Use my location', 'primary', () => withPlace(() => load())),
        button('Show all flyers', '', () => go({ near: false }))));
      return markReady();
    }
    const key = request(filters, place, '');
    const mine = { key, items: [], cursor: '', done: false, busy: false, place };
    current = mine;
    if (!fresh && lists.has(key)) {
      Object.assign(mine, lists.get(key));
      list.replaceChildren(...mine.items.map((flyer, at) => card(flyer, { names, eager: at < EAGER })));
      showFoot(mine);
      return markReady();
    }
    if (!keep) {
      list.replaceChildren(...skeletons(8));
      foot.replaceChildren();
    }
    list.setAttribute('aria-busy', 'true');
    await more(mine, { fresh });
    list.removeAttribute('aria-busy');
    return markReady();
  }

  async function more(mine, { fresh = false } = {}) {
    if (mine.busy || mine.done) return;
    mine.busy = true;
    const first = mine.items.length === 0;
    try {
      const page = await get(request(filters, mine.place, mine.cursor), { signal, fresh });
      // Another filter was chosen while this was on its way.
      if (current !== mine) return;
      const cards = page.results.map((flyer, at) => card(flyer, { names, eager: first && at < EAGER, first: first && at === 0 }));
      if (first) list.replaceChildren(...cards);
      else list.append(...cards);
      mine.items.push(...page.results);
      mine.cursor = page.next_cursor;
      mine.done = !page.next_cursor;
      keepList(mine);
      if (!first || filters.search) announce(`${mine.items.length} flyers${mine.done ? ', no more' : ''}`);
      showFoot(mine);
    } catch (error) {
      if (signal.aborted || current !== mine) return;
      if (first) list.replaceChildren();
      foot.replaceChildren(problem(error, () => (first ? load() : more(mine))));
    } finally {
      mine.busy = false;
    }
  }

  function keepList(mine) {
    lists.delete(mine.key);
    lists.set(mine.key, { items: mine.items, cursor: mine.cursor, done: mine.done });
    if (lists.size > KEPT) lists.delete(lists.keys().next().value);
  }

  function showFoot(mine) {
    if (mine.items.length === 0) foot.replaceChildren(nothing());
    else if (mine.done) foot.replaceChildren(h('p', { class: 'end' }, 'That is everything on the wall.'));
    else foot.replaceChildren(button('Show more', 'quiet', () => more(mine)));
  }

  function nothing() {
    const all = button('Show all flyers', 'primary', () => {
      input.value = '';
      go({ filter: 'all', categories: [], search: '', near: false });
    });
    if (filters.search) return state('search', 'Nothing found', `No flyer matches “${filters.search}”${filters.near || filters.categories.length ? ' with these filters' : ''}.`, all);
    if (filters.near) return state('near', 'Nothing near you yet', 'There is no flyer within 5 km.', all);
    if (filters.filter === 'favorites') return state('heart', 'No favorites yet', 'Press the heart on a flyer to find it again here.', all);
    if (filters.filter === 'following') return state('person', 'Nobody to see yet', 'Follow people on their profile; their flyers show up here.', all);
    if (filters.categories.length) return state('grid', 'Nothing here', 'There is no flyer in these categories right now.', all);
    return state('grid', 'The wall is empty', 'Be the first to put up a flyer.', h('a', { class: 'button primary', href: '/create' }, 'Create a flyer'));
  }

  /** Everything anew: from the service, past every cache. */
  async function reload() {
    refresh.classList.add('turning');
    forgetAll();
    lists.clear();
    await Promise.all([load({ fresh: true, keep: true }), showCategories()]);
    refresh.classList.remove('turning');
    announce('Refreshed');
  }

  // Wiring

  const watcher = new IntersectionObserver((entries) => {
    if (entries.some((entry) => entry.isIntersecting) && current?.items.length) more(current);
  }, { rootMargin: AHEAD });
  watcher.observe(foot);
  // The foot stays in sight when a page is shorter than the margin: look again.
  const settle = new MutationObserver(() => { watcher.unobserve(foot); watcher.observe(foot); });
  settle.observe(list, { childList: true });
  events.addEventListener('card', ({ detail }) => refreshCards(list, detail), { signal });
  pullToRefresh(pulled, reload, signal);
  signal.addEventListener('abort', () => {
    watcher.disconnect();
    settle.disconnect();
    searchLater.cancel();
    searchPlace.replaceChildren();
  });

  const node = h('div', { class: 'feed' }, heading, pulled,
    h('section', { class: 'filters', 'aria-label': 'Filters' },
      h('div', { class: 'filters-row' }, h('div', { class: 'segments', role: 'group', 'aria-label': 'Which flyers' }, segments), order, refresh), chips),
    list, foot);
  showFilters();
  return {
    node, title: 'Flyers near you', focus: heading,
    // Names of categories are on the cards, so both are asked for together.
    ready: Promise.all([showCategories().then(() => renameTags(list, names)), load()]),
  };
}

function renameTags(list, names) {
  for (const item of list.children) {
    if (item.flyer) item.querySelector('.tags').textContent = item.flyer.categories.slice(0, 2).map((slug) => names.get(slug) ?? slug).join(' · ');
  }
}

/** What went wrong with a list, and a way to try again. */
export function problem(error, retry) {
  const again = button('Try again', 'primary', retry, 'refresh');
  return error instanceof Unreachable
    ? state('offline', 'You are offline', 'What you have seen before is still here. The rest comes back with the connection.', again)
    : state('info', 'That did not work', explain(error), again);
}

const PULL_PX = 70;

/** Pulling down at the top of the page refreshes, as on a phone. */
function pullToRefresh(sign, reload, signal) {
  let from = null;
  let by = 0;
  const show = (pixels) => {
    by = pixels;
    sign.style.setProperty('--pulled', `${pixels}px`);
    sign.classList.toggle('armed', pixels >= PULL_PX);
  };
  addEventListener('touchstart', (event) => { from = scrollY <= 0 ? event.touches[0].clientY : null; }, { passive: true, signal });
  addEventListener('touchmove', (event) => {
    if (from === null) return;
    show(Math.max(0, Math.min((event.touches[0].clientY - from) / 2, PULL_PX + 20)));
  }, { passive: true, signal });
  addEventListener('touchend', () => {
    if (from !== null && by >= PULL_PX) reload();
    from = null;
    show(0);
  }, { passive: true, signal });
}
