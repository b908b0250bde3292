// One flyer: its pictures, what it says, where it is, and what its owner may do with it.

import { changeCards, events, explain, forget, get, Problem, query, remembered, send, signedIn } from './api.js';
import { heart, poster, showHeart } from './card.js';
import { announce, ask, avatar, button, distance, h, icon, link, local, longDate, ago, state, toast } from './dom.js';
import { dropLists, problem } from './feed.js';
import { known, quietly } from './place.js';

export function detail({ id, signal, go, back }) {
  const heading = h('h1', { tabindex: -1 }, ' ');
  const content = h('div', { class: 'detail', 'aria-busy': 'true' }, h('div', { class: 'carousel skeleton' }), h('div', { class: 'detail-body skeleton' }, h('p'), h('p'), h('p')));
  const node = h('article', {}, h('div', { class: 'view-bar' }, h('button', { type: 'button', class: 'icon-button', 'aria-label': 'Back', on: { click: back } }, icon('back'))), content);
  let flyer = null;

  async function load() {
    try {
      const place = known() ?? await quietly();
      flyer = await get(`/flyers/${id}/?${query({ lat: place?.lat, lng: place?.lng })}`, { signal });
      const { categories } = await remembered('/categories/').catch(() => ({ categories: [] }));
      if (signal.aborted) return;
      content.removeAttribute('aria-busy');
      heading.className = '';
      content.classList.add('detail');
      content.replaceChildren(...parts(flyer, new Map(categories.map(({ slug, name }) => [slug, name]))));
    } catch (error) {
      if (signal.aborted) return;
      content.removeAttribute('aria-busy');
      heading.textContent = 'Flyer';
      heading.className = 'hidden-text';
      content.classList.remove('detail');
      content.replaceChildren(heading, error instanceof Problem && error.status === 404
        ? state('search', 'This flyer is gone', 'It has expired or was taken down.', link('/', 'button primary', 'See all flyers'))
        : problem(error, load));
    }
  }

  function parts(flyer, names) {
    heading.textContent = flyer.title;
    const far = distance(flyer.location.distance_km);
    const { lat, lng, address } = flyer.location;
    const map = `https://www.openstreetmap.org/?mlat=${lat}&mlon=${lng}#map=16/${lat}/${lng}`;
    const favorite = heart(flyer, 'large');
    events.addEventListener('card', ({ detail: { which, change } }) => {
      if (!which(flyer)) return;
      change(flyer);
      showHeart(favorite, flyer);
    }, { signal });
    return [
      carousel(flyer),
      h('div', { class: 'detail-body' },
        h('div', { class: 'detail-title' }, h('div', {},
          h('p', { class: 'tags' }, flyer.categories.map((slug) => names.get(slug) ?? slug).join(' · ')), heading), favorite),
        flyer.status !== 'active' && h('p', { class: `notice ${flyer.status}` }, icon(flyer.status === 'scheduled' ? 'calendar' : 'info'), statusText(flyer)),
        h('a', { href: `/users/${flyer.creator.id}`, class: 'creator wide' },
          avatar(flyer.creator.name, flyer.creator.profile_picture, 'medium'),
          h('span', {}, h('strong', {}, flyer.creator.name), h('span', { class: 'ago' }, `put up ${ago(flyer.created_at)}`))),
        flyer.caption && h('p', { class: 'caption' }, flyer.caption),
        h('dl', { class: 'facts-list' },
          fact('info', 'Information', [flyer.info_field_1, flyer.info_field_2].filter(Boolean)),
          fact('clock', 'When', [`From ${longDate(flyer.validity.valid_from)}`, `Until ${longDate(flyer.validity.valid_until)}`]),
          fact('pin', 'Where', [address, far && `${far} from you`].filter(Boolean),
            h('a', { href: map, target: '_blank', rel: 'noopener noreferrer', class: 'map-link' }, 'Show on the map', h('span', { class: 'hidden-text' }, ' (opens in a new tab)')))),
        h('div', { class: 'detail-actions' }, navigator.share && button('Share', '', () => share(flyer), 'share'), ownersButtons(flyer))),
    ];
  }

  const fact = (symbol, term, lines, more = null) => (lines.length || more) && h('div', {}, icon(symbol),
    h('dt', { class: 'hidden-text' }, term), h('dd', {}, lines.map((line) => h('span', { class: 'line' }, line)), more));

  const share = (flyer) => navigator.share({ title: flyer.title, url: location.href }).catch(() => {});

  function ownersButtons(flyer) {
    if (!flyer.can_edit) return [];
    const expired = new Date(flyer.validity.valid_until) <= new Date();
    const active = flyer.editable?.is_active && !expired;
    return [
      h('a', { class: 'button', href: `/flyers/${flyer.id}/edit` }, icon('edit'), h('span', {}, 'Edit')),
      button(active ? 'Take down' : 'Put up again', '', () => toggleActive(active, expired), active ? 'eye' : 'refresh'),
      button('Delete', 'danger', remove, 'trash'),
    ];
  }

  async function toggleActive(active, expired) {
    if (expired) {
      const choice = await ask('Choose a new end first', 'This flyer has expired. Give it a later end and turn it on again.', [['', 'Not now', 'quiet'], ['edit', 'Edit the flyer', 'primary']]);
      if (choice) go(`/flyers/${id}/edit`);
      return;
    }
    if (active && (await ask('Take this flyer down?', 'Nobody but you will see it until you put it up again.', [['', 'Keep it', 'quiet'], ['yes', 'Take down', 'danger']])) !== 'yes') return;
    try {
      await send('PATCH', `/flyers/${id}/`, { is_active: !active, version: flyer.editable.version });
      changed();
      toast(active ? 'Taken down' : 'It is up again');
    } catch (error) {
      toast(error instanceof Problem && error.status === 409 ? 'It was changed elsewhere; this is how it is now.' : explain(error), 'error');
    }
    await load();
  }

  async function remove() {
    const choice = await ask('Delete this flyer?', 'It disappears for everybody, with its pictures. This cannot be undone.', [['', 'Cancel', 'quiet'], ['delete', 'Delete', 'danger']]);
    if (choice !== 'delete') return;
    try {
      await send('DELETE', `/flyers/${id}/`);
      changed();
      toast('Deleted');
      go('/me', { replace: true });
    } catch (error) {
      toast(explain(error), 'error');
    }
  }

  return { node, title: 'Flyer', focus: heading, ready: load(), retitle: () => flyer?.title ?? 'Flyer' };
}

/** After a write every list may show the flyer no longer, or another way. */
export function changed() {
  dropLists();
  forget((path) => path.startsWith('/users/') || path.startsWith('/flyers/'));
}

function statusText(flyer) {
  if (flyer.status === 'scheduled') return `Only you can see this: it goes up on ${longDate(flyer.validity.valid_from)}.`;
  if (new Date(flyer.validity.valid_until) <= new Date()) return `Only you can see this: it expired on ${longDate(flyer.validity.valid_until)}.`;
  return 'Only you can see this: it has been taken down.';
}

/** 1 to 5 pictures; swipe, buttons or arrow keys. The small picture stands in for the large one. */
function carousel(flyer) {
  const { images, title } = flyer;
  if (images.length === 0) return h('div', { class: 'carousel' }, h('div', { class: 'slide' }, poster(flyer)));
  const slides = images.map((image, at) => slide(flyer, image, at));
  const track = h('div', { class: 'track', tabindex: images.length > 1 ? 0 : null, role: 'group', 'aria-label': 'Pictures' }, slides);
  const dots = images.map(() => h('span', { class: 'dot' }));
  const root = h('section', { class: 'carousel', 'aria-roledescription': 'carousel', 'aria-label': `Pictures of ${title}` }, track);
  if (images.length === 1) return root;
  let shown = 0;
  const move = (to) => {
    const at = Math.max(0, Math.min(to, slides.length - 1));
    track.scrollTo({ left: slides[at].offsetLeft, behavior: matchMedia('(prefers-reduced-motion: reduce)').matches ? 'instant' : 'smooth' });
    // Told at once, not when the motion ends.
    show(at);
    announce(`Picture ${at + 1} of ${slides.length}`);
  };
  const step = (by, label, symbol) => h('button', { type: 'button', class: `step ${symbol}`, 'aria-label': label, on: { click: () => move(shown + by) } }, icon(symbol));
  const previous = step(-1, 'Previous picture', 'left');
  const next = step(1, 'Next picture', 'right');
  const show = (at) => {
    shown = at;
    dots.forEach((dot, index) => dot.classList.toggle('on', index === at));
    previous.disabled = at === 0;
    next.disabled = at === slides.length - 1;
  };
  track.addEventListener('scrollend', () => show(Math.round(track.scrollLeft / Math.max(1, track.clientWidth))));
  track.addEventListener('keydown', (event) => {
    if (event.key !== 'ArrowRight' && event.key !== 'ArrowLeft') return;
    event.preventDefault();
    move(shown + (event.key === 'ArrowRight' ? 1 : -1));
  });
  root.append(previous, next, h('div', { class: 'dots', 'aria-hidden': 'true' }, dots));
  show(0);
  return root;
}

function slide(flyer, { url, thumb_url: small }, at) {
  const of = flyer.images.length;
  const behind = h('img', { src: local(small), alt: '', class: 'behind', loading: at ? 'lazy' : 'eager', decoding: 'async' });
  const large = h('img', {
    src: local(url), alt: of > 1 ? `${flyer.title}, picture ${at + 1} of ${of}` : flyer.title, class: 'large',
    loading: at ? 'lazy' : 'eager', fetchpriority: at ? null : 'high', decoding: 'async',
  });
  const box = h('div', { class: 'slide', role: 'group', 'aria-roledescription': 'slide', 'aria-label': `${at + 1} of ${of}` }, behind, large);
  behind.addEventListener('error', () => behind.remove(), { once: true });
  large.addEventListener('error', () => box.replaceChildren(poster(flyer)), { once: true });
  return box;
}
