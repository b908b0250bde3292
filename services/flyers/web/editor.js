// Making a flyer and changing one: the same form.

import { explain, get, Problem, remembered, send, signedIn } from './api.js';
import { ask, button, debounce, h, icon, link, state, toast } from './dom.js';
import { changed } from './detail.js';
import { problem } from './feed.js';
import { clearFailure, field, showFailure, summaryBox } from './form.js';
import { pictureChooser } from './pictures.js';
import { send as upload } from './upload.js';

const LIFETIME_DAYS = 30;
const CHECK_WAIT_MS = 500;
/** Below this an upload is over before a bar is read. */
const PROGRESS_FROM_BYTES = 300 * 1024;

export function create(context) {
  return editor(context, null);
}

export function edit(context) {
  return editor(context, context.id);
}

function editor({ signal, go, back }, id) {
  const title = id === null ? 'Create a flyer' : 'Edit the flyer';
  const heading = h('h1', { tabindex: -1 }, title);
  const place = h('div', { class: 'form-place' });
  const node = h('div', { class: 'narrow' }, h('div', { class: 'view-bar' }, h('button', { type: 'button', class: 'icon-button', 'aria-label': 'Back', on: { click: back } }, icon('back'))), heading, place);
  let form = null;

  async function load() {
    if (!signedIn()) {
      place.replaceChildren(state('lock', 'Sign in first', 'You need an account to put up flyers.', link(`/login?next=${encodeURIComponent(location.pathname)}`, 'button primary', 'Sign in')));
      return;
    }
    try {
      const [{ categories }, flyer] = await Promise.all([
        remembered('/categories/'),
        id === null ? null : get(`/flyers/${id}/`, { signal, fresh: true }),
      ]);
      if (signal.aborted) return;
      if (flyer && !flyer.can_edit) {
        place.replaceChildren(state('lock', 'This is not your flyer', 'Only the person who put it up can change it.', link(`/flyers/${id}`, 'button primary', 'See the flyer')));
        return;
      }
      form = flyerForm({ flyer: flyer && withImageIds(flyer), categories, go, signal, again: load });
      place.replaceChildren(form.node);
    } catch (error) {
      if (signal.aborted) return;
      place.replaceChildren(error instanceof Problem && error.status === 404
        ? state('search', 'This flyer is gone', 'It has been deleted.', link('/me', 'button primary', 'Your flyers'))
        : problem(error, load));
    }
  }

  return { node, title, focus: heading, ready: load(), guard: () => form?.dirty() ?? false };
}

/** Ids are what an edit calls pictures by; only the owner is told them, beside the pictures. */
function withImageIds(flyer) {
  const ids = new Map(flyer.editable?.images?.map(({ id, order }) => [order, id]));
  return { ...flyer, images: flyer.images.map((image) => ({ id: ids.get(image.order), ...image })) };
}

function flyerForm({ flyer, categories, go, again }) {
  const fields = makeFields(flyer, categories);
  const all = Object.values(fields);
  const summary = summaryBox();
  const start = read(fields);
  const bar = h('progress', { max: 1, value: 0, 'aria-label': 'Upload' });
  const percent = h('span', {}, '');
  const progress = h('div', { class: 'progress', hidden: true }, bar, percent);
  const save = h('button', { type: 'submit', class: 'button primary large' }, flyer ? 'Save' : 'Put it up');
  let version = flyer?.editable?.version;
  let finished = false;

  for (const one of all) {
    const check = debounce(() => one.wrong(one.check?.() ?? ''), CHECK_WAIT_MS);
    one.node.addEventListener('input', () => {
      if (!one.node.classList.contains('is-wrong') && !one.eager) return;
      check();
    });
    one.node.addEventListener('focusout', (event) => {
      if (event.target.value && !one.node.contains(event.relatedTarget)) check();
    });
  }

  const node = h('form', { class: 'form', novalidate: true, on: { submit } }, summary,
    all.filter(({ optional }) => !optional).map((one) => one.node),
    h('div', { class: 'pair' }, fields.publication_date.node, fields.expiration_date.node),
    fields.is_active?.node, progress,
    h('div', { class: 'form-buttons' }, button('Cancel', 'quiet', () => go(flyer ? `/flyers/${flyer.id}` : '/')), save));

  const dirty = () => !finished && (fields.pictures.dirty() || JSON.stringify(read(fields)) !== JSON.stringify(start));

  async function submit(event) {
    event?.preventDefault();
    clearFailure(all, summary);
    const faults = all.map((one) => [one, one.check?.() ?? '']).filter(([, text]) => text);
    if (faults.length) {
      faults.forEach(([one, text]) => one.wrong(text));
      summary.textContent = 'Please correct what is marked below.';
      summary.hidden = false;
      faults[0][0].focus();
      return;
    }
    save.disabled = true;
    try {
      const saved = flyer ? await patch() : await post();
      finished = true;
      changed();
      toast(flyer ? 'Saved' : 'Your flyer is up');
      go(`/flyers/${saved?.id ?? flyer.id}`, { replace: true });
    } catch (error) {
      if (error instanceof Problem && error.status === 409 && flyer) await conflict(error);
      else showFailure(error, all, summary);
    } finally {
      save.disabled = false;
      progress.hidden = true;
    }
  }

  function post() {
    const { values, files } = output({}, fields);
    return sendFiles('POST', '/flyers/', values, files);
  }

  function patch() {
    const { values, files } = output(start, fields, flyer);
    if (version !== undefined && version !== null) values.version = version;
    const path = `/flyers/${flyer.id}/`;
    return files.length ? sendFiles('PATCH', path, values, files) : send('PATCH', path, values);
  }

  function sendFiles(method, path, values, files) {
    const form = new FormData();
    for (const [name, value] of Object.entries(values)) {
      if (name === 'category_tags') value.forEach((slug) => form.append(name, slug));
      else form.append(name, Array.isArray(value) ? JSON.stringify(value) : String(value));
    }
    files.forEach(({ blob, name }, at) => form.append(`image_${at + 1}`, blob, name));
    const bytes = files.reduce((sum, { blob }) => sum + blob.size, 0);
    progress.hidden = bytes < PROGRESS_FROM_BYTES;
    return upload(method, path, form, (part) => {
      bar.value = part;
      percent.textContent = part < 1 ? `${Math.round(part * 100)} %` : 'Almost done';
    });
  }

  async function conflict(error) {
    const { current } = error.body;
    const choice = await ask('This flyer was changed elsewhere', 'You, or another window of yours, saved it in the meantime. Keep what you typed here, or start again from what is there now?', [
      ['', 'Back to the form', 'quiet'], ['reload', 'Reload', ''], ['overwrite', 'Overwrite', 'primary'],
    ]);
    if (choice === 'reload') {
      changed();
      await again();
    } else if (choice === 'overwrite') {
      version = current?.editable?.version ?? current?.version;
      save.disabled = false;
      node.requestSubmit();
    } else {
      summary.textContent = explain(error);
      summary.hidden = false;
    }
  }

  return { node, dirty };
}

// Fields

function makeFields(flyer, categories) {
  const text = (name, label, most, extra = {}) => {
    const control = extra.rows
      ? h('textarea', { name, rows: extra.rows, maxlength: most, value: flyer?.[name] ?? '' })
      : h('input', { type: 'text', name, maxlength: most, autocomplete: extra.autocomplete ?? 'off', value: flyer?.[name] ?? extra.value ?? '' });
    const one = field(label, control, { hint: extra.hint });
    return Object.assign(one, {
      label, read: () => control.value.trim(),
      check: () => (extra.required && !control.value.trim() ? `${label} is required.` : ''),
    });
  };
  return {
    pictures: pictureField(flyer),
    title: text('title', 'Title', 200, { required: true }),
    caption: text('caption', 'Description', 2000, { rows: 5 }),
    info_field_1: text('info_field_1', 'Information', 1000, { hint: 'For example opening hours.' }),
    info_field_2: text('info_field_2', 'More information', 1000, { hint: 'For example prices.' }),
    category_tags: categoryField(flyer, categories),
    location_address: text('location_address', 'Address', 500, { required: true, hint: 'Street, postal code and town.', autocomplete: 'street-address', value: flyer?.location.address }),
    ...dateFields(flyer),
    ...(flyer ? { is_active: activeField(flyer) } : {}),
  };
}

function pictureField(flyer) {
  const chooser = pictureChooser(flyer?.images ?? [], (message) => one.wrong(message));
  const one = field('Pictures', chooser.node, { hint: 'One to five. The first is the cover.', name: 'pictures', group: true });
  return Object.assign(one, {
    label: 'The pictures', items: chooser.items, dirty: chooser.dirty, read: () => undefined,
    also: (name) => /^image(s|_\d|_order)?$/.test(name) || name === 'remove_images',
    check: () => (chooser.items().length ? '' : 'Choose at least one picture.'),
    focus: () => chooser.node.querySelector('input').focus(),
  });
}

function categoryField(flyer, categories) {
  const chosen = new Set(flyer?.categories ?? []);
  const boxes = categories.map(({ slug, name }) => h('label', { class: 'chip check' },
    h('input', { type: 'checkbox', name: 'category_tags', value: slug, checked: chosen.has(slug) }), h('span', {}, name)));
  const group = h('div', { class: 'chips wrap' }, boxes);
  const read = () => [...group.querySelectorAll('input:checked')].map((box) => box.value);
  const one = field('Categories', group, { name: 'category_tags', group: true });
  return Object.assign(one, { label: 'Categories', eager: true, read, check: () => (read().length ? '' : 'Choose at least one category.') });
}

/** The value of a `datetime-local` input, in local time. */
function localTime(date) {
  const shifted = new Date(date.getTime() - date.getTimezoneOffset() * 60_000);
  return shifted.toISOString().slice(0, 16);
}

function dateFields(flyer) {
  const month = new Date(Date.now() + LIFETIME_DAYS * 86_400_000);
  const make = (name, label, value, hint) => {
    const control = h('input', { type: 'datetime-local', name, value });
    const one = field(label, control, { hint });
    return Object.assign(one, { label, optional: true, read: () => (control.value ? new Date(control.value).toISOString() : '') });
  };
  const from = make('publication_date', 'Goes up', flyer ? localTime(new Date(flyer.validity.valid_from)) : '', flyer ? null : 'Empty means right away.');
  const end = make('expiration_date', 'Comes down', localTime(flyer ? new Date(flyer.validity.valid_until) : month), null);
  end.check = () => {
    if (!end.read()) return flyer ? 'The end is required.' : '';
    if (end.read() === end.before && flyer) return '';
    if (end.read() <= new Date().toISOString()) return 'The end must be in the future.';
    return from.read() && end.read() <= from.read() ? 'The end must be after the beginning.' : '';
  };
  end.before = end.read();
  return { publication_date: from, expiration_date: end };
}

function activeField(flyer) {
  const box = h('input', { type: 'checkbox', role: 'switch', name: 'is_active', checked: flyer.editable?.is_active === true && flyer.status !== 'expired' });
  const one = field('Up on the wall', box, { hint: flyer.status === 'expired' ? 'It is down. To put it up again, choose an end in the future and turn this on.' : 'Turn it off to take the flyer down without deleting it.' });
  one.node.classList.add('switch-field');
  return Object.assign(one, { label: 'This', optional: true, read: () => box.checked });
}

const read = (fields) => Object.fromEntries(Object.entries(fields).map(([name, one]) => [name, one.read()]));

/** What to send: what differs from `start`; pictures as files, removals and order. */
function output(start, fields, flyer = null) {
  const now = read(fields);
  const values = Object.fromEntries(Object.entries(now).filter(([name, value]) =>
    value !== undefined && JSON.stringify(value) !== JSON.stringify(start[name]) && (flyer || value !== '')));
  const items = fields.pictures.items();
  const files = items.filter(({ blob }) => blob);
  if (flyer && fields.pictures.dirty()) {
    const kept = new Set(items.map(({ id }) => id));
    const gone = flyer.images.map(({ id }) => id).filter((id) => !kept.has(id));
    if (gone.length) values.remove_images = gone;
    values.image_order = items.map((item) => item.id ?? `image_${files.indexOf(item) + 1}`);
  }
  return { values, files };
}
