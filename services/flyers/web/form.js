// Fields with a label, a hint and a place for what is wrong with them.

import { explain, Problem } from './api.js';
import { h } from './dom.js';

/** `control` with its label; `field.wrong(text)` shows a message or, with '', removes it. */
export function field(label, control, { hint = null, name = control.name, group = false } = {}) {
  const id = control.id || `field-${name}`;
  control.id = id;
  const message = h('p', { class: 'wrong', id: `${id}-wrong`, hidden: true });
  const note = hint && h('p', { class: 'hint', id: `${id}-hint` }, hint);
  const described = [note?.id, message.id].filter(Boolean).join(' ');
  const node = group
    ? h('fieldset', { class: 'field', id: `${id}-group`, 'aria-describedby': described }, h('legend', {}, label), note, control, message)
    : h('div', { class: 'field' }, h('label', { for: id }, label), note, control, message);
  control.setAttribute('aria-describedby', described);
  const wrong = (text) => {
    message.textContent = text;
    message.hidden = !text;
    node.classList.toggle('is-wrong', Boolean(text));
    if (text) control.setAttribute('aria-invalid', 'true');
    else control.removeAttribute('aria-invalid');
  };
  return { node, control, wrong, name, focus: () => (group ? control.querySelector('input, button, label') ?? control : control).focus() };
}

/** A message of the service as a sentence: `is required` of `title` becomes "Title is required." */
export function sentence(label, message) {
  const text = /^(is|must|has|does|needs|cannot)\b/.test(message) ? `${label} ${message}` : message[0].toUpperCase() + message.slice(1);
  return /[.!?]$/.test(text) ? text : `${text}.`;
}

/**
 * Shows a failure at the fields it names, the rest above the form, and moves the focus to
 * the first wrong field.
 */
export function showFailure(error, fields, summary) {
  const left = [];
  let first = null;
  for (const [name, message] of Object.entries(error instanceof Problem ? error.fields : {})) {
    const target = fields.find((one) => one.name === name || one.also?.(name));
    if (!target) {
      left.push(sentence(name, message));
      continue;
    }
    target.wrong(sentence(target.label ?? 'This', message));
    if (!first || fields.indexOf(target) < fields.indexOf(first)) first = target;
  }
  const text = left.length ? left.join(' ') : first ? 'Please correct what is marked below.' : explain(error);
  summary.textContent = text;
  summary.hidden = false;
  (first ?? { focus: () => summary.focus() }).focus();
}

export function clearFailure(fields, summary) {
  fields.forEach((one) => one.wrong(''));
  summary.hidden = true;
  summary.textContent = '';
}

export const summaryBox = () => h('p', { class: 'summary', role: 'alert', tabindex: -1, hidden: true });
