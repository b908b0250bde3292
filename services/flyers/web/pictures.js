// Choosing 1 to 5 pictures: preview, order, removal.

import { announce, h, icon, local, toast } from './dom.js';
import { fault, LARGEST_BYTES, shrink } from './upload.js';

export const MOST_PICTURES = 5;

/**
 * The chooser. `start`: pictures that the flyer has, `{id, thumb_url}`. `items()` are what
 * is chosen now, in order: `{id}` of an old picture or `{blob, name}` of a new one.
 */
export function pictureChooser(start, changed) {
  let items = start.map(({ id, thumb_url: url }) => ({ id, url: local(url) }));
  const list = h('ol', { class: 'tiles', 'aria-label': 'Pictures' });
  const input = h('input', {
    type: 'file', id: 'pictures-input', 'aria-label': 'Add pictures', class: 'hidden-text', multiple: true, accept: 'image/jpeg,image/png,image/webp',
    on: { change: () => add([...input.files]) },
  });
  const label = h('label', { class: 'tile add', for: input.id }, icon('plus'), h('span', {}, 'Add pictures'));
  const node = h('div', { class: 'pictures', on: { dragover, drop } }, list, input);

  async function add(files) {
    const room = MOST_PICTURES - items.length;
    if (files.length > room) changed(`At most ${MOST_PICTURES} pictures: ${files.length - room} left out.`);
    else changed('');
    for (const file of files.slice(0, room)) {
      const wrong = await fault(file);
      if (wrong) {
        changed(wrong);
        continue;
      }
      const blob = await shrink(file);
      if (blob.size > LARGEST_BYTES) {
        changed(`“${file.name}” is too large. Maximum 5 MB.`);
        continue;
      }
      items.push({ blob, name: file.name, url: URL.createObjectURL(blob) });
    }
    input.value = '';
    show();
    announce(`${items.length} of ${MOST_PICTURES} pictures`);
  }

  function show(focus = null) {
    list.replaceChildren(...items.map(tile), ...(items.length < MOST_PICTURES ? [h('li', {}, label)] : []));
    if (focus) list.children[focus.at]?.querySelector(`[data-act="${focus.act}"]:not(:disabled), [data-act]:not(:disabled)`)?.focus();
  }

  function tile(item, at) {
    const act = (name, text, symbol, work, off = false) => h('button', {
      type: 'button', class: 'tile-button', disabled: off, data: { act: name }, 'aria-label': `${text} picture ${at + 1}`, on: { click: work },
    }, icon(symbol));
    const image = h('img', { src: item.url, alt: `Picture ${at + 1}`, draggable: 'false' });
    image.addEventListener('error', () => image.replaceWith(h('span', { class: 'tile-missing' }, icon('picture'))), { once: true });
    return h('li', {
      class: 'tile', draggable: 'true', data: { at }, on: {
        dragstart: (event) => event.dataTransfer.setData('text/x-picture', String(at)),
      },
    }, image, at === 0 && h('span', { class: 'cover-mark' }, 'Cover'),
    h('div', { class: 'tile-buttons' },
      act('left', 'Move forward', 'left', () => move(at, at - 1, 'left'), at === 0),
      act('remove', 'Remove', 'close', () => remove(at)),
      act('right', 'Move back', 'right', () => move(at, at + 1, 'right'), at === items.length - 1)));
  }

  function move(from, to, act = null) {
    const [item] = items.splice(from, 1);
    items.splice(to, 0, item);
    changed('');
    show(act && { at: to, act });
    announce(`Now picture ${to + 1} of ${items.length}`);
  }

  function remove(at) {
    const [item] = items.splice(at, 1);
    if (item.blob) URL.revokeObjectURL(item.url);
    changed('');
    show();
    (list.children[Math.min(at, items.length - 1)]?.querySelector('[data-act="remove"]') ?? input).focus();
    announce('Removed');
  }

  function dragover(event) {
    event.preventDefault();
  }

  function drop(event) {
    event.preventDefault();
    const from = event.dataTransfer.getData('text/x-picture');
    const over = event.target.closest('[data-at]');
    if (from !== '' && over) move(Number(from), Number(over.dataset.at));
    else if (event.dataTransfer.files.length) add([...event.dataTransfer.files]).catch(() => toast('These files cannot be read.', 'error'));
  }

  show();
  const before = items.map(({ id }) => id).join();
  return {
    node,
    items: () => items,
    dirty: () => items.some(({ blob }) => blob) || items.map(({ id }) => id).join() !== before,
  };
}
