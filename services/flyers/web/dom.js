// Elements, icons, words for times and distances, dialogs: what every view is made of.
// Data becomes text nodes and attributes here, never markup.

const SVG = 'http://www.w3.org/2000/svg';

const ICONS = {
  back: 'M15 5l-7 7 7 7',
  calendar: 'M5 6.500h14a1 1 0 0 1 1 1V19a1 1 0 0 1-1 1H5a1 1 0 0 1-1-1V7.500a1 1 0 0 1 1-1zM4 11h16M8 4v4M16 4v4',
  check: 'M5 12.500l4.5 4.500L19 7.5',
  clock: 'M12 21a9 9 0 1 0 0-18 9 9 0 0 0 0 18zM12 7.500V12l3 2',
  close: 'M6 6l12 12M18 6L6 18',
  edit: 'M5 19l1-4.500L16.5 4l3.5 3.500L9.5 18zM14.5 6l3.5 3.5',
  eye: 'M3 12s3.5-6 9-6 9 6 9 6-3.5 6-9 6-9-6-9-6zM12 14.500a2.5 2.5 0 1 0 0-5 2.5 2.5 0 0 0 0 5z',
  grid: 'M4 4h7v7H4zM13 4h7v4h-7zM13 10.500h7V20h-7zM4 13.500h7V20H4z',
  heart: 'M12 20s-7.5-4.600-7.5-10.300A4.200 4.200 0 0 1 12 7.200a4.200 4.200 0 0 1 7.5 2.500C19.5 15.400 12 20 12 20z',
  info: 'M12 21a9 9 0 1 0 0-18 9 9 0 0 0 0 18zM12 11v5M12 8v.01',
  left: 'M14.5 6l-6 6 6 6',
  lock: 'M6 11h12v9H6zM8.5 11V8a3.5 3.5 0 0 1 7 0v3',
  near: 'M20.5 3.500L3.5 10.500l7 3 3 7z',
  offline: 'M4 4l16 16M8.5 15.500a5 5 0 0 1 6 0M5.5 12a9 9 0 0 1 4-2.300M18.5 12a9 9 0 0 0-5-2.600M12 19v.01',
  person: 'M12 12a4 4 0 1 0 0-8 4 4 0 0 0 0 8zM4.5 20a7.5 7.5 0 0 1 15 0',
  picture: 'M5 5h14a1 1 0 0 1 1 1v12a1 1 0 0 1-1 1H5a1 1 0 0 1-1-1V6a1 1 0 0 1 1-1zM4.5 17l5-5 4 4 2.5-2.5 3.5 3.500M15.5 9.500v.01',
  pin: 'M12 21s-6.5-6-6.5-11a6.5 6.5 0 0 1 13 0c0 5-6.5 11-6.5 11zM12 12.300a2.300 2.300 0 1 0 0-4.600 2.300 2.300 0 0 0 0 4.600z',
  plus: 'M12 5v14M5 12h14',
  refresh: 'M19.5 12a7.5 7.5 0 1 1-2.200-5.300L19.5 9M19.5 4.500V9H15',
  right: 'M9.5 6l6 6-6 6',
  search: 'M10.5 17a6.5 6.5 0 1 0 0-13 6.5 6.5 0 0 0 0 13zM15.5 15.500L20 20',
  share: 'M12 15V4M8 7.500L12 4l4 3.500M6 12v7h12v-7',
  signout: 'M10 4H5v16h5M15 8l4 4-4 4M9 12h10',
  trash: 'M5 7h14M10 7V4.500h4V7M7 7l1 13h8l1-13M10.5 11v5M13.5 11v5',
};

/** An element. Properties: `class`, `on` (listeners), `data`, else attributes. */
export function h(tag, properties = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(properties)) {
    if (value === null || value === undefined || value === false) continue;
    if (name === 'on') {
      for (const [event, listener] of Object.entries(value)) element.addEventListener(event, listener);
    } else if (name === 'data') {
      Object.assign(element.dataset, value);
    } else if (name === 'value' || name === 'checked' || name === 'disabled') {
      element[name] = value;
    } else {
      element.setAttribute(name, value === true ? '' : String(value));
    }
  }
  element.append(...children.flat(Infinity).filter((child) => child !== null && child !== undefined && child !== false));
  return element;
}

export function icon(name, extra = '') {
  const svg = document.createElementNS(SVG, 'svg');
  svg.setAttribute('viewBox', '0 0 24 24');
  svg.setAttribute('class', `icon ${extra}`);
  svg.setAttribute('aria-hidden', 'true');
  const path = document.createElementNS(SVG, 'path');
  path.setAttribute('d', ICONS[name]);
  svg.append(path);
  return svg;
}

/** A picture of the service, by path: behind a proxy its own idea of the host may be wrong. */
export function local(url) {
  try {
    const parsed = new URL(url, location.href);
    return parsed.pathname.startsWith('/media/') ? parsed.pathname : parsed.href;
  } catch {
    return '';
  }
}

/** The same colour for the same thing, everywhere. */
export function hue(seed) {
  let hash = 7;
  for (const letter of String(seed)) hash = (hash * 31 + letter.codePointAt(0)) % 100_003;
  return (hash * 47) % 360;
}

/** A round picture; initials for those who have none, without asking the server. */
export function avatar(name, url, size = 'small') {
  const words = String(name || '?').trim().split(/\s+/);
  const initials = words.length > 1 ? [...words[0]][0] + [...words.at(-1)][0] : [...words[0]].slice(0, 2).join('');
  const letters = h('span', { class: `avatar ${size}`, 'aria-hidden': 'true' }, initials.toUpperCase());
  letters.style.setProperty('--hue', hue(name));
  if (!url || url.endsWith('default-avatar.svg')) return letters;
  const image = h('img', {
    class: `avatar ${size}`, src: local(url), alt: '', width: 128, height: 128, decoding: 'async', loading: 'lazy',
  });
  image.addEventListener('error', () => image.replaceWith(letters), { once: true });
  return image;
}

export function announce(text) {
  const place = document.getElementById('announcer');
  // The same sentence twice is only read again when the region was empty in between.
  place.textContent = '';
  setTimeout(() => { place.textContent = text; }, 60);
}

export function toast(text, kind = 'info') {
  const note = h('div', { class: `toast ${kind}` }, icon(kind === 'error' ? 'info' : 'check'), h('span', {}, text));
  const place = document.getElementById('toasts');
  while (place.childElementCount > 2) place.firstElementChild.remove();
  place.append(note);
  setTimeout(() => note.remove(), kind === 'error' ? 7000 : 3500);
}

/**
 * A question. Resolves to the value of the button pressed, or null for Escape.
 * `choices`: `[value, label, class]`. Enter presses the last one, unless it cannot be undone.
 */
export function ask(title, text, choices) {
  return new Promise((resolve) => {
    const before = document.activeElement;
    const id = `dialog-${Math.random().toString(36).slice(2)}`;
    const buttons = choices.map(([value, label, kind]) =>
      h('button', { type: 'button', class: `button ${kind ?? ''}`, on: { click: () => dialog.close(value) } }, label));
    const dialog = h('dialog', { class: 'dialog', 'aria-labelledby': id, 'aria-describedby': `${id}-text` },
      h('h2', { id }, title), h('p', { id: `${id}-text` }, text), h('div', { class: 'dialog-buttons' }, buttons));
    dialog.addEventListener('close', () => {
      dialog.remove();
      if (before?.isConnected) before.focus();
      resolve(dialog.returnValue || null);
    });
    dialog.addEventListener('click', (event) => { if (event.target === dialog) dialog.close(''); });
    document.body.append(dialog);
    dialog.showModal();
    (choices.at(-1)[2] === 'danger' ? buttons[0] : buttons.at(-1)).focus();
  });
}

/** An empty list, an error, a thing that is gone: what happened and what to do now. */
export function state(symbol, title, text, ...actions) {
  return h('div', { class: 'state' }, h('div', { class: 'state-icon' }, icon(symbol)),
    h('h2', {}, title), h('p', {}, text), actions.length > 0 && h('div', { class: 'state-actions' }, actions));
}

export function link(href, kind, ...children) {
  return h('a', { href, class: kind }, ...children);
}

export function button(label, kind, click, symbol = null) {
  return h('button', { type: 'button', class: `button ${kind}`, on: { click } }, symbol && icon(symbol), h('span', {}, label));
}

const dayMonth = new Intl.DateTimeFormat(undefined, { day: 'numeric', month: 'short' });
const full = new Intl.DateTimeFormat(undefined, {
  weekday: 'short', day: 'numeric', month: 'short', year: 'numeric', hour: '2-digit', minute: '2-digit',
});
const relative = new Intl.RelativeTimeFormat(undefined, { numeric: 'auto' });

export const shortDate = (text) => dayMonth.format(new Date(text));
export const longDate = (text) => full.format(new Date(text));

export function ago(text) {
  const seconds = (new Date(text) - Date.now()) / 1000;
  const steps = [[60, 'second', 1], [3600, 'minute', 60], [86_400, 'hour', 3600], [30 * 86_400, 'day', 86_400]];
  const step = steps.find(([limit]) => Math.abs(seconds) < limit);
  return step ? relative.format(Math.round(seconds / step[2]), step[1]) : shortDate(text);
}

export function until(text) {
  const days = (new Date(text) - Date.now()) / 86_400_000;
  if (days < 0) return `ended ${shortDate(text)}`;
  if (days < 1) return 'last day';
  return `until ${shortDate(text)}`;
}

export function distance(km) {
  if (km === null || km === undefined) return '';
  return km < 1 ? `${Math.round(km * 1000)} m` : `${km.toFixed(1)} km`;
}

/** Runs `work` once nobody has called for `wait` ms. */
export function debounce(work, wait) {
  let timer;
  const later = (...values) => {
    clearTimeout(timer);
    timer = setTimeout(() => work(...values), wait);
  };
  later.cancel = () => clearTimeout(timer);
  return later;
}
