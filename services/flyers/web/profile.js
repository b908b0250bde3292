// Somebody's profile: who they are, how many flyers, their flyers, a button to follow.
//
// Everything here is remembered for the session: the same profile opened again asks nobody.

import { changeCards, events, explain, Problem, query, remembered, send, signedIn, userId, forget } from './api.js';
import { askToSignIn, card, refreshCards, skeletons } from './card.js';
import { announce, avatar, button, h, icon, link, state, toast } from './dom.js';
import { dropLists, problem } from './feed.js';

const PAGE = 20;

export const profilePath = (id) => `/users/${id}/profile/`;
const flyersPath = (id, cursor) => `/flyers/?${query({ creator: id, page_size: PAGE })}&cursor=${encodeURIComponent(cursor)}`;

export function profile({ id, signal, back }) {
  const heading = h('h1', { tabindex: -1 }, ' ');
  const head = h('div', { class: 'profile-head skeleton' }, h('p'), h('p'));
  const list = h('ul', { class: 'wall', 'aria-label': 'Flyers' }, skeletons(4));
  const foot = h('div', { class: 'wall-foot' });
  const node = h('div', { class: 'profile' },
    h('div', { class: 'view-bar' }, h('button', { type: 'button', class: 'icon-button', 'aria-label': 'Back', on: { click: back } }, icon('back')),
      h('button', { type: 'button', class: 'icon-button', 'aria-label': 'Refresh', title: 'Refresh', on: { click: () => reload() } }, icon('refresh'))),
    head, list, foot);
  const own = id === userId();
  let person = null;
  let cursor = '';
  let busy = false;

  async function load(options = {}) {
    cursor = '';
    try {
      const [, , follow] = await Promise.all([
        remembered(profilePath(id), options).then(showHead),
        more(options, true),
        signedIn() && !own ? remembered(`/follows/status/?user_id=${id}`, options).catch(() => null) : null,
      ]);
      if (!signal.aborted) showFollow(follow?.is_following ?? false);
    } catch (error) {
      if (signal.aborted) return;
      list.replaceChildren();
      heading.textContent = 'Profile';
      head.replaceChildren(h('div', { class: 'hidden-text' }, heading));
      head.classList.remove('skeleton');
      foot.replaceChildren(error instanceof Problem && error.status === 404
        ? state('person', 'There is nobody here', 'This account does not exist any more.', link('/', 'button primary', 'See all flyers'))
        : problem(error, () => load()));
    }
  }

  const actions = h('div', { class: 'profile-actions' });

  function showHead(data) {
    person = data;
    heading.textContent = data.name;
    head.classList.remove('skeleton');
    head.replaceChildren(avatar(data.name, data.profile_picture_url, 'huge'),
      h('div', {}, heading,
        h('p', { class: 'profile-count' }, `${data.flyer_count} ${data.flyer_count === 1 ? 'flyer' : 'flyers'}`),
        data.bio && h('p', { class: 'bio' }, data.bio)), actions);
  }

  function showFollow(following) {
    if (own) {
      actions.replaceChildren(h('a', { class: 'button', href: '/me' }, icon('edit'), h('span', {}, 'Edit profile')));
      return;
    }
    const follow = button(following ? 'Following' : 'Follow', following ? '' : 'primary', () => toggle(!following), following ? 'check' : 'plus');
    follow.setAttribute('aria-pressed', String(following));
    follow.classList.add('follow');
    const had = actions.contains(document.activeElement);
    actions.replaceChildren(follow);
    if (had) follow.focus();
  }

  let waiting = false;

  /** Changes at once and takes it back when the service says no. */
  async function toggle(wanted) {
    if (!signedIn()) return askToSignIn(`follow ${person.name}`);
    if (waiting) return;
    waiting = true;
    showFollow(wanted);
    try {
      if (wanted) await send('POST', '/follows/', { followed_id: id });
      else await send('DELETE', `/follows/${id}/`);
      forget((path) => path === `/follows/status/?user_id=${id}`);
      changeCards((flyer) => flyer.creator?.id === id, (flyer) => { flyer.creator.is_following = wanted; });
      dropLists();
      announce(wanted ? `You follow ${person.name}` : `You no longer follow ${person.name}`);
    } catch (error) {
      showFollow(!wanted);
      toast(explain(error), 'error');
    } finally {
      waiting = false;
    }
  }

  async function more(options = {}, first = false) {
    if (busy || cursor === null) return;
    busy = true;
    try {
      const [page, { categories }] = await Promise.all([
        remembered(flyersPath(id, cursor), options),
        remembered('/categories/').catch(() => ({ categories: [] })),
      ]);
      if (signal.aborted) return;
      const names = new Map(categories.map(({ slug, name }) => [slug, name]));
      const cards = page.results.map((flyer, at) => card(structuredClone(flyer), { creator: false, names, eager: first && at < 6 }));
      if (first) list.replaceChildren(...cards);
      else list.append(...cards);
      cursor = page.next_cursor;
      if (list.childElementCount === 0) foot.replaceChildren(state('grid', 'No flyers yet', own ? 'Put up your first one.' : 'Nothing is up right now.', own && link('/create', 'button primary', 'Create a flyer')));
      else foot.replaceChildren(...(cursor ? [button('Show more', 'quiet', () => more())] : []));
    } catch (error) {
      if (first) throw error;
      foot.replaceChildren(problem(error, () => more()));
    } finally {
      busy = false;
    }
  }

  async function reload() {
    forget((path) => path.includes(`/users/${id}/`) || path.includes(`creator=${id}&`) || path.includes(`user_id=${id}`));
    await load({ fresh: true });
    announce('Refreshed');
  }

  const watcher = new IntersectionObserver((entries) => {
    if (entries.some((entry) => entry.isIntersecting) && list.querySelector('[data-flyer]')) more();
  }, { rootMargin: '900px' });
  watcher.observe(foot);
  events.addEventListener('card', ({ detail }) => refreshCards(list, detail), { signal });
  signal.addEventListener('abort', () => watcher.disconnect());
  return { node, title: 'Profile', focus: heading, ready: load(), retitle: () => person?.name ?? 'Profile' };
}
