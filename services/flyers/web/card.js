// A flyer in a list, its poster when it has no picture, and the heart.

import { changeCards, explain, send, signedIn } from './api.js';
import { ago, announce, ask, avatar, distance, h, hue, icon, link, local, toast, until } from './dom.js';

/** What stands in for a picture: the title, set like a flyer. */
export function poster(flyer) {
  const sheet = h('div', { class: 'poster', 'aria-hidden': 'true' }, h('span', {}, flyer.title));
  sheet.style.setProperty('--hue', hue(flyer.id));
  return sheet;
}

/** The cover, or a poster when there is none or it does not load. */
export function cover(flyer, url, { eager = false, first = false } = {}) {
  if (!url) return poster(flyer);
  const image = h('img', {
    src: local(url), alt: '', width: 300, height: 375, decoding: 'async',
    loading: eager ? 'eager' : 'lazy', fetchpriority: first ? 'high' : null,
  });
  image.addEventListener('error', () => image.replaceWith(poster(flyer)), { once: true });
  return image;
}

/** Asks an anonymous visitor to sign in; nothing is sent. */
export async function askToSignIn(what) {
  const choice = await ask('Sign in first', `You need an account to ${what}. It takes a minute and is free.`, [
    ['', 'Not now', 'quiet'], ['register', 'Create an account', ''], ['login', 'Sign in', 'primary'],
  ]);
  if (!choice) return;
  const back = encodeURIComponent(location.pathname + location.search);
  dispatchEvent(new CustomEvent('go', { detail: `/login?next=${back}${choice === 'register' ? '&register' : ''}` }));
}

const waiting = new Set();

/** Changes at once and takes it back when the service says no. */
export async function toggleFavorite(flyer) {
  if (!signedIn()) return askToSignIn('keep favorites');
  if (waiting.has(flyer.id)) return;
  waiting.add(flyer.id);
  const wanted = !flyer.is_favorited;
  const set = (value) => changeCards((card) => card.id === flyer.id, (card) => { card.is_favorited = value; });
  flyer.is_favorited = wanted;
  set(wanted);
  try {
    if (wanted) await send('POST', '/favorites/', { flyer_id: flyer.id });
    else await send('DELETE', `/favorites/${flyer.id}/`);
    announce(wanted ? 'Added to your favorites' : 'Removed from your favorites');
  } catch (error) {
    flyer.is_favorited = !wanted;
    set(!wanted);
    toast(explain(error), 'error');
  } finally {
    waiting.delete(flyer.id);
  }
}

export function heart(flyer, extra = '') {
  const button = h('button', { type: 'button', class: `heart ${extra}`, on: { click: () => toggleFavorite(flyer) } }, icon('heart'));
  showHeart(button, flyer);
  return button;
}

export function showHeart(button, flyer) {
  button.setAttribute('aria-pressed', String(flyer.is_favorited === true));
  button.setAttribute('aria-label', `Favorite: ${flyer.title}`);
}

/** The town of an address is what one wants to know of a place in a list. */
const town = (address) => address.split(',').at(-1).trim().replace(/^\d{4,5}\s+/, '');

export function card(flyer, { eager = false, first = false, names = new Map(), creator = true } = {}) {
  const far = distance(flyer.location.distance_km);
  const tags = flyer.categories.slice(0, 2).map((slug) => names.get(slug) ?? slug);
  const pictures = flyer.images.length;
  const body = h('div', { class: 'card-body' },
    h('p', { class: 'tags' }, tags.join(' · ')),
    h('h3', {}, link(`/flyers/${flyer.id}`, 'card-link', flyer.title)),
    flyer.caption && h('p', { class: 'card-text' }, flyer.caption),
    h('p', { class: 'facts' },
      h('span', {}, icon('pin'), far ? `${far} · ${town(flyer.location.address)}` : town(flyer.location.address)),
      h('span', {}, icon('clock'), until(flyer.validity.valid_until))),
    creator && h('a', { href: `/users/${flyer.creator.id}`, class: 'creator' },
      avatar(flyer.creator.name, flyer.creator.profile_picture), h('span', {}, flyer.creator.name),
      h('span', { class: 'ago' }, ago(flyer.created_at))));
  const item = h('li', { class: 'card', data: { flyer: flyer.id } },
    h('div', { class: 'card-cover' }, cover(flyer, flyer.images[0]?.thumb_url, { eager, first }),
      pictures > 1 && h('span', { class: 'count' }, icon('picture'), `${pictures}`,
        h('span', { class: 'hidden-text' }, ' pictures')),
      flyer.status !== 'active' && h('span', { class: `status ${flyer.status}` }, flyer.status)),
    body, heart(flyer));
  item.flyer = flyer;
  return item;
}

/** Keeps hearts right when a flyer is favored elsewhere. For use as a listener of `card`. */
export function refreshCards(list, { which, change }) {
  for (const item of list.children) {
    if (!item.flyer || !which(item.flyer)) continue;
    change(item.flyer);
    showHeart(item.querySelector('.heart'), item.flyer);
  }
}

/** Grey cards while the first page is on its way. */
export function skeletons(count) {
  return Array.from({ length: count }, () => h('li', { class: 'card skeleton', 'aria-hidden': 'true' },
    h('div', { class: 'card-cover' }), h('div', { class: 'card-body' }, h('p'), h('p'), h('p'))));
}
