// Your own page: profile, privacy, your flyers with their status, signing out.

import { explain, forget, get, isOffline, query, remembered, send, signedIn, signOut, userId } from './api.js';
import { cover } from './card.js';
import { announce, avatar, button, h, icon, link, shortDate, state, toast } from './dom.js';
import { dropLists, problem } from './feed.js';
import { clearFailure, field, showFailure, summaryBox } from './form.js';
import { profilePath } from './profile.js';
import { send as upload, shrink } from './upload.js';

const PAGE = 50;
const BIO_LONGEST = 500;

export function me({ signal, go }) {
  const heading = h('h1', { tabindex: -1 }, 'You');
  const node = h('div', { class: 'me' });
  if (!signedIn()) {
    queueMicrotask(() => go('/login?next=/me', { replace: true }));
    return { node, title: 'You', focus: heading };
  }
  const head = h('section', { class: 'profile-head', 'aria-label': 'Profile' }, heading);
  // At the top, where nothing that loads later moves it.
  const leave = button('Sign out', '', () => {
    signOut();
    toast('Signed out');
    go('/', { replace: true });
  }, 'signout');
  const editing = profileForm(head, heading, leave, signal);
  const flyers = ownFlyers(signal);
  const privacy = privacySettings(signal);
  node.append(head, editing.node, privacy.node, flyers.node);
  return {
    node, title: 'You', focus: heading, guard: editing.dirty,
    ready: Promise.all([editing.load(), flyers.load(), privacy.load()]),
  };
}

function profileForm(head, heading, leave, signal) {
  const summary = summaryBox();
  const name = field('Name', h('input', { type: 'text', name: 'name', maxlength: 50, autocomplete: 'name' }));
  const bio = field('About you', h('textarea', { name: 'bio', rows: 3, maxlength: BIO_LONGEST }), { hint: `Up to ${BIO_LONGEST} characters.` });
  const file = h('input', { type: 'file', name: 'image', accept: 'image/jpeg,image/png,image/webp', class: 'hidden-text' });
  const picture = field('Picture', file, { hint: 'JPEG, PNG or WebP.' });
  Object.assign(name, { label: 'The name' });
  Object.assign(bio, { label: 'The text' });
  Object.assign(picture, { label: 'The picture' });
  const fields = [picture, name, bio];
  const preview = h('div', { class: 'picture-preview' });
  const progress = h('progress', { max: 1, value: 0, hidden: true, 'aria-label': 'Upload' });
  let person = null;
  let chosen = null;

  const details = h('details', { class: 'panel' }, h('summary', {}, icon('edit'), h('span', {}, 'Edit profile')));
  const save = h('button', { type: 'submit', class: 'button primary' }, 'Save');
  picture.node.insertBefore(h('div', { class: 'picture-row' }, preview,
    h('label', { class: 'button', for: file.id || 'field-image' }, icon('picture'), h('span', {}, 'Choose a picture'))), file);
  details.append(h('form', { class: 'form', novalidate: true, on: { submit } }, summary, fields.map((one) => one.node), progress,
    h('div', { class: 'form-buttons' }, button('Cancel', 'quiet', cancel), save)));

  file.addEventListener('change', () => {
    chosen = file.files[0] ?? null;
    picture.wrong('');
    if (chosen) preview.replaceChildren(h('img', { class: 'avatar large', src: URL.createObjectURL(chosen), alt: 'The new picture' }));
  });

  function show() {
    const { name: own, bio: text, profile_picture_url: url, flyer_count: count } = person;
    heading.textContent = own;
    head.replaceChildren(avatar(own, url, 'huge'), h('div', {}, heading,
      h('p', { class: 'profile-count' }, `${count} ${count === 1 ? 'flyer' : 'flyers'}`), text && h('p', { class: 'bio' }, text)),
    h('div', { class: 'profile-actions' }, link(`/users/${person.user_id}`, 'button', icon('eye'), h('span', {}, 'As others see it')), leave));
    reset();
  }

  function reset() {
    name.control.value = person.name;
    bio.control.value = person.bio ?? '';
    file.value = '';
    chosen = null;
    preview.replaceChildren(avatar(person.name, person.profile_picture_url, 'large'));
  }

  function cancel() {
    clearFailure(fields, summary);
    reset();
    details.open = false;
    details.querySelector('summary').focus();
  }

  const dirty = () => person !== null && (chosen !== null || name.control.value !== person.name || bio.control.value !== (person.bio ?? ''));

  async function submit(event) {
    event.preventDefault();
    clearFailure(fields, summary);
    save.disabled = true;
    try {
      const before = person;
      if (name.control.value !== before.name || bio.control.value !== (before.bio ?? '')) {
        await send('PATCH', '/users/me/profile/', { name: name.control.value, bio: bio.control.value });
      }
      if (chosen) await uploadPicture();
      // Name and picture are on every card.
      forget((path) => path.startsWith('/users/') || path.startsWith('/flyers/'));
      dropLists();
      await load();
      details.open = false;
      dispatchEvent(new CustomEvent('person'));
      toast('Saved');
    } catch (error) {
      showFailure(error, fields, summary);
    } finally {
      save.disabled = false;
      progress.hidden = true;
    }
  }

  async function uploadPicture() {
    const form = new FormData();
    form.append('image', await shrink(chosen, 1024), 'picture.jpg');
    progress.hidden = false;
    await upload('POST', '/users/me/profile/picture/', form, (part) => { progress.value = part; });
  }

  async function load() {
    try {
      person = await remembered(profilePath(userId()));
      if (!signal.aborted) show();
    } catch (error) {
      if (!signal.aborted) head.replaceChildren(heading, problem(error, load), leave);
    }
  }

  return { node: details, load, dirty };
}

function privacySettings(signal) {
  const box = h('input', { type: 'checkbox', role: 'switch', id: 'allow-email', disabled: true, on: { change: save } });
  const status = h('p', { class: 'hint' }, 'Others may ask to write to you. Your address itself is never shown.');

  async function load() {
    try {
      const settings = await get('/users/me/privacy-settings/', { signal });
      box.checked = settings.allow_email_contact;
      box.disabled = isOffline();
    } catch (error) {
      if (!signal.aborted) status.textContent = explain(error);
    }
  }

  async function save() {
    const wanted = box.checked;
    box.disabled = true;
    try {
      await send('PATCH', '/users/me/privacy-settings/', { allow_email_contact: wanted });
      announce('Saved');
    } catch (error) {
      box.checked = !wanted;
      toast(explain(error), 'error');
    } finally {
      box.disabled = false;
      box.focus();
    }
  }

  const node = h('details', { class: 'panel' }, h('summary', {}, icon('lock'), h('span', {}, 'Privacy')),
    h('label', { class: 'switch-row', for: 'allow-email' }, h('span', {}, 'Allow contact by e-mail'), box), status);
  return { node, load };
}

function ownFlyers(signal) {
  const list = h('ul', { class: 'rows' });
  const foot = h('div', { class: 'wall-foot' });
  let cursor = '';

  async function load() {
    try {
      const page = await get(`/users/me/flyers/?${query({ page_size: PAGE })}&cursor=${encodeURIComponent(cursor)}`, { signal });
      list.append(...page.results.map(row));
      cursor = page.next_cursor;
      foot.replaceChildren(...(cursor ? [button('Show more', 'quiet', load)] : []));
      if (list.childElementCount === 0) foot.replaceChildren(state('grid', 'No flyers yet', 'Put up your first one: a picture, a place and a time are enough.', link('/create', 'button primary', 'Create a flyer')));
    } catch (error) {
      if (!signal.aborted) foot.replaceChildren(problem(error, load));
    }
  }

  const node = h('section', { class: 'own', 'aria-labelledby': 'own' }, h('h2', { id: 'own' }, 'Your flyers'), list, foot);
  return { node, load };
}

function row(flyer) {
  const when = flyer.status === 'scheduled' ? `from ${shortDate(flyer.publication_date)}` : `until ${shortDate(flyer.expiration_date)}`;
  return h('li', { class: 'row', data: { flyer: flyer.id } },
    h('div', { class: 'row-cover' }, cover(flyer, flyer.thumbnail)),
    h('div', { class: 'row-body' }, h('h3', {}, link(`/flyers/${flyer.id}`, 'card-link', flyer.title)),
      h('p', { class: 'facts' }, h('span', { class: `status ${flyer.status}` }, flyer.status), h('span', {}, when)),
      h('p', { class: 'row-place' }, flyer.location_address)),
    h('a', { class: 'icon-button', href: `/flyers/${flyer.id}/edit`, 'aria-label': `Edit ${flyer.title}` }, icon('edit')));
}
