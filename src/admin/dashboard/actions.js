// @ts-check
/** What a person does: asked before it cannot be taken back, done once at a time, and told when it fails. */

import { byId, find } from './dom.js';

/** @type {ReturnType<typeof setTimeout> | undefined} */
let toastTimer;

/**
 * Tells of a failure for some seconds.
 * @param {string} message
 */
export function toast(message) {
  byId('toast').textContent = message;
  byId('toast').hidden = false;
  clearTimeout(toastTimer);
  toastTimer = setTimeout(() => {
    byId('toast').hidden = true;
  }, 6000);
}

/**
 * Resolves to whether the person agreed.
 * @param {string} title
 * @param {string} text
 * @param {string} yes
 * @returns {Promise<boolean>}
 */
export function confirmed(title, text, yes) {
  const dialog = byId('confirm');
  byId('confirm-title').textContent = title;
  byId('confirm-text').textContent = text;
  byId('confirm-yes').textContent = yes;
  dialog.showModal();
  byId('confirm-no').focus();
  return new Promise((resolve) => {
    let agreed = false;
    find(dialog, 'form').onsubmit = (/** @type {Event} */ event) => {
      event.preventDefault();
      agreed = true;
      dialog.close();
    };
    byId('confirm-no').onclick = () => dialog.close();
    dialog.onclose = () => resolve(agreed);
  });
}

/**
 * Runs an action of a button or a field: once at a time, failures told, the page refreshed.
 * @param {HTMLButtonElement | HTMLInputElement} control
 * @param {() => Promise<unknown>} action
 */
export async function act(control, action) {
  control.disabled = true;
  try {
    await action();
    document.dispatchEvent(new Event('breakwater-changed'));
  } catch (error) {
    toast(error instanceof Error ? error.message : String(error));
  } finally {
    control.disabled = false;
  }
}
