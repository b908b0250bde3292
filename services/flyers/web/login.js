// Signing in and making an account.

import { signedIn, signIn } from './api.js';
import { h, toast } from './dom.js';
import { clearFailure, field, showFailure, summaryBox } from './form.js';

export function login({ search, go }) {
  const given = new URLSearchParams(search);
  const register = given.has('register');
  // Only a path of this page: an address from outside could lead anywhere.
  const next = /^\/(?![/\\])/.test(given.get('next') ?? '') ? given.get('next') : '/';
  const title = register ? 'Create an account' : 'Sign in';
  const heading = h('h1', { tabindex: -1 }, title);
  const summary = summaryBox();
  const email = field('E-mail', h('input', { type: 'email', name: 'email', autocomplete: 'username', required: true, maxlength: 254, inputmode: 'email' }));
  const password = field('Password', h('input', {
    type: 'password', name: 'password', required: true, autocomplete: register ? 'new-password' : 'current-password', maxlength: 256,
  }), { hint: register ? 'At least 8 characters, with an upper-case letter, a lower-case letter and a digit.' : null });
  const name = field('Name', h('input', { type: 'text', name: 'name', autocomplete: 'name', maxlength: 50 }), { hint: 'Others see it. Leave it empty to use the part of your address before the @.' });
  Object.assign(email, { label: 'This' });
  Object.assign(password, { label: 'The password' });
  Object.assign(name, { label: 'The name' });
  const fields = register ? [name, email, password] : [email, password];
  const submit = h('button', { type: 'submit', class: 'button primary large' }, title);

  const form = h('form', { class: 'form', novalidate: true, on: { submit: send } }, summary, fields.map(({ node }) => node), submit);

  async function send(event) {
    event.preventDefault();
    clearFailure(fields, summary);
    const empty = [email, password].filter(({ control }) => !control.value.trim());
    if (empty.length) {
      empty.forEach((one) => one.wrong(`${one === email ? 'The e-mail address' : 'The password'} is required.`));
      empty[0].focus();
      return;
    }
    submit.disabled = true;
    try {
      const body = { email: email.control.value, password: password.control.value };
      if (register && name.control.value.trim()) body.name = name.control.value;
      await signIn(register ? '/auth/register/' : '/auth/login/', body);
      toast(register ? 'Welcome' : 'Signed in');
      go(next, { replace: true });
    } catch (error) {
      showFailure(error, fields, summary);
    } finally {
      submit.disabled = false;
    }
  }

  const other = `/login?${new URLSearchParams({ next })}${register ? '' : '&register'}`;
  const node = h('div', { class: 'narrow' }, heading, form,
    h('p', { class: 'switch' }, register ? 'You have an account? ' : 'New here? ', h('a', { href: other }, register ? 'Sign in' : 'Create an account')));
  if (signedIn()) queueMicrotask(() => go('/me', { replace: true }));
  return { node, title, focus: heading };
}
