// @ts-check
/** Where the person is: a view, and a panel before it. Both are in the address, so that a link leads there again. */

import { byId, h, setText } from './dom.js';

/** @typedef {'overview' | 'devices'} View */

/**
 * What fills the panel: a title, and a body that is drawn anew again and again while it is open.
 * @typedef {{ readonly title: string, readonly body: HTMLElement, refresh(): Promise<void>, close?(): void }} Panel
 */

/** @type {readonly View[]} */
const views = ['overview', 'devices'];
/** @type {View} */
let view = 'overview';
/** @type {Panel | undefined} */
let panel;

export function viewNow() {
  return view;
}

/** @param {'node' | 'device'} kind @param {string} id */
export function linkTo(kind, id) {
  return `#${kind}/${encodeURIComponent(id)}`;
}

/** @param {View} to */
export function go(to) {
  location.hash = `#${to}`;
}

export function closePanel() {
  byId('panel', HTMLDialogElement).close();
}

/** Draws the panel that is open, if any. */
export async function refreshPanel() {
  await panel?.refresh();
}

/**
 * @param {Readonly<Record<'node' | 'device', (id: string) => Panel>>} panels
 * @param {() => void} onView told when another view is shown
 */
export function watchPlaces(panels, onView) {
  const dialog = byId('panel', HTMLDialogElement);
  byId('panel-close').onclick = closePanel;
  dialog.onclick = (event) => {
    if (event.target === dialog) closePanel(); // beside the panel
  };
  dialog.onclose = () => {
    panel?.close?.();
    panel = undefined;
    if (!views.includes(/** @type {View} */ (location.hash.slice(1))))
      history.replaceState(null, '', `#${view}`);
  };
  const show = () => {
    const [kind = '', ...rest] = location.hash.slice(1).split('/');
    const wanted = views.find((each) => each === kind);
    if (wanted !== undefined || kind === '') {
      if (dialog.open) dialog.close();
      view = wanted ?? 'overview';
    }
    showView();
    if (kind === 'node' || kind === 'device') openPanel(panels[kind](decoded(rest.join('/'))));
    onView();
  };
  addEventListener('hashchange', show);
  show();
}

/**
 * What stands in an address; as it is where nobody can have encoded it so.
 * @param {string} text
 */
function decoded(text) {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}

function showView() {
  for (const each of views) {
    byId(`view-${each}`).hidden = each !== view;
    const tab = byId(`tab-${each}`);
    if (each === view) tab.setAttribute('aria-current', 'page');
    else tab.removeAttribute('aria-current');
  }
}

/** @param {Panel} opened */
function openPanel(opened) {
  const dialog = byId('panel', HTMLDialogElement);
  panel?.close?.();
  panel = opened;
  setText(byId('panel-title'), opened.title);
  byId('panel-body').replaceChildren(opened.body);
  if (!dialog.open) dialog.showModal();
  void opened.refresh();
}

/**
 * A list of facts; what is undefined is left out.
 * @param {Readonly<Record<string, string | number | undefined>>} entries
 */
export function facts(entries) {
  const shown = Object.entries(entries).filter(([, value]) => value !== undefined && value !== '');
  return h(
    'dl',
    {},
    ...shown.map(([name, value]) => h('div', {}, h('dt', {}, name), h('dd', {}, String(value)))),
  );
}
