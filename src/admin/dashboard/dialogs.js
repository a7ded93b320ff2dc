// @ts-check
/** What a person does: asked before it cannot be taken back, done once at a time, and told when it fails. */

import { byId, h, setClass, setText } from './dom.js';
import { messageOf } from './format.js';

const TOAST_MS = 6000;
/** @type {ReturnType<typeof setTimeout> | undefined} */
let toastTimer;

/**
 * Tells of something for some seconds.
 * @param {string} message
 * @param {'bad' | 'good'} [tone]
 */
export function toast(message, tone = 'bad') {
  const place = byId('toast');
  setText(place, message);
  setClass(place, tone);
  // Shown anew it is before whichever dialog is open.
  if (place.matches(':popover-open')) place.hidePopover();
  place.showPopover();
  clearTimeout(toastTimer);
  toastTimer = setTimeout(() => place.hidePopover(), TOAST_MS);
}

/**
 * One thing that a dialog asks for.
 * @typedef {{
 *   readonly name: string, readonly label: string, readonly hint?: string, readonly type?: 'text' | 'number',
 *   readonly value?: string | number | undefined, readonly min?: number, readonly max?: number,
 *   readonly step?: string, readonly required?: boolean,
 *   readonly options?: readonly { readonly value: string, readonly label: string }[],
 * }} Field
 */

/**
 * What is done when the person agrees; its failure is told in the dialog, which stays open.
 * @typedef {{
 *   readonly title: string, readonly text: string, readonly yes: string, readonly isDangerous?: boolean,
 *   readonly lines?: readonly string[],
 *   readonly fields?: readonly Field[],
 *   readonly run: (values: Readonly<Record<string, string>>) => Promise<unknown>, readonly done?: string,
 * }} Question
 */

/** @param {Question} question */
export function ask({ title, text, yes, isDangerous = false, lines = [], fields = [], run, done }) {
  const dialog = byId('ask', HTMLDialogElement);
  const form = byId('ask-form', HTMLFormElement);
  const fault = byId('ask-fault');
  const submit = byId('ask-yes', HTMLButtonElement);
  setText(byId('ask-title'), title);
  setText(byId('ask-text'), text);
  setText(submit, yes);
  setClass(submit, isDangerous ? 'danger' : 'primary');
  fault.hidden = true;
  byId('ask-lines').replaceChildren(...lines.map((line) => h('li', {}, line)));
  byId('ask-lines').hidden = lines.length === 0;
  byId('ask-fields').replaceChildren(...fields.map(createField));
  byId('ask-no').onclick = () => dialog.close();
  form.onsubmit = async (event) => {
    event.preventDefault();
    submit.disabled = true;
    dialog.setAttribute('aria-busy', 'true');
    try {
      await run(
        Object.fromEntries([...new FormData(form)].map(([name, value]) => [name, String(value).trim()])),
      );
      dialog.close();
      if (done !== undefined) toast(done, 'good');
      changed();
    } catch (error) {
      setText(fault, messageOf(error));
      fault.hidden = false;
    } finally {
      submit.disabled = false;
      dialog.removeAttribute('aria-busy');
    }
  };
  dialog.showModal();
  // What cannot be taken back is not begun by a key that was pressed for something else.
  if (isDangerous && fields.length === 0) byId('ask-no').focus();
}

/** @param {Field} field */
function createField({ name, label, hint, options, value, type = 'text', ...bounds }) {
  const id = `ask-${name}`;
  const common = { id, name, ...(hint !== undefined && { 'aria-describedby': `${id}-hint` }) };
  const control =
    options === undefined
      ? h('input', { ...common, ...bounds, type, value, autocomplete: 'off', spellcheck: 'false' })
      : h('select', common, ...options.map((option) => h('option', { value: option.value }, option.label)));
  if (options !== undefined && value !== undefined) control.value = String(value);
  const below = hint === undefined ? undefined : h('small', { id: `${id}-hint` }, hint);
  return h('div', { class: 'field' }, h('label', { for: id }, label), control, below);
}

/** The page is to be shown anew: something was done. */
function changed() {
  document.dispatchEvent(new Event('breakwater-changed'));
}

/**
 * A button whose action runs once at a time, and whose failure is told.
 * @param {string} label
 * @param {() => unknown} action
 * @param {string} [names] classes
 */
export function button(label, action, names = '') {
  const element = h('button', { type: 'button', ...(names !== '' && { class: names }) }, label);
  element.onclick = async () => {
    element.disabled = true;
    try {
      await action();
      changed();
    } catch (error) {
      toast(messageOf(error));
    } finally {
      element.disabled = false;
    }
  };
  return element;
}
