// @ts-check
/** Devices of the cluster: looked for by client id and node; as many rows as there are in sight. */

import { may } from './abilities.js';
import { get } from './api.js';
import { byId, h, setText } from './dom.js';
import { ago, clientName, count, counted, messageOf, natural } from './format.js';
import { go, linkTo, viewNow } from './places.js';
import { VirtualList } from './virtual-list.js';

/** @import { ClientList, ClientView, NodeView } from '../backend.ts' */
/** @import { Row } from './dom.js' */

/** So many are asked for, and more as the end comes in sight; the last is the most that the API gives. */
const STEPS = [200, 2000, 10_000];
const PAGE = 10_000;
const SEARCH_MS = 200;
/** Every data thread looks through its devices for each answer. */
const REFRESH_MS = 5000;

export const protocols = { 3: '3.1', 4: '3.1.1', 5: '5.0' };

/**
 * Several devices may have one client id, or none: a connection has a number.
 * @param {Pick<ClientView, 'connection' | 'proxy'>} client
 */
export function nameOfConnection({ connection, proxy }) {
  return `#${connection}@${proxy}`;
}

/** @type {VirtualList<ClientView> | undefined} */
let list;
let step = 0;
/** Where the page that is shown begins, behind those before it; empty: at the first device. @type {string[]} */
let pages = [''];
let isMore = false;
let askedAt = 0;
/** Answers that are not of the last question are thrown away. */
let question = 0;

export async function refreshDevices(force = true) {
  if (viewNow() !== 'devices') return;
  // Long lists are asked for seldom.
  if (!force && performance.now() - askedAt < REFRESH_MS * (step + 1)) return;
  askedAt = performance.now();
  const number = ++question;
  const match = byId('search', HTMLInputElement).value;
  try {
    const found = await ask(STEPS[step] ?? PAGE);
    if (number === question) showFound(found, match);
  } catch (error) {
    setText(byId('clients-missing'), messageOf(error));
  }
}

/**
 * Of the page that is shown.
 * @param {number} limit
 * @returns {Promise<ClientList>}
 */
function ask(limit) {
  const match = byId('search', HTMLInputElement).value;
  const node = byId('device-node', HTMLSelectElement).value;
  const after = pages.at(-1) ?? '';
  const where = new URLSearchParams({ limit: String(limit) });
  if (match !== '') where.set('match', match);
  if (node !== '') where.set('node', node);
  if (after !== '') where.set('after', after);
  return get(`/clients?${where}`);
}

/** The devices behind the page that is shown. */
async function showNext() {
  const from = pages;
  try {
    const { next } = await ask(PAGE);
    if (pages === from && next !== undefined) turnTo([...pages, next]);
  } catch (error) {
    setText(byId('clients-missing'), messageOf(error));
  }
}

/** @param {string[]} to */
function turnTo(to) {
  pages = to;
  step = 0;
  byId('clients').scrollTop = 0;
  search();
}

/** @param {ClientList} found @param {string} match */
function showFound({ clients, total, next, missing }, match) {
  const before = (pages.length - 1) * PAGE;
  isMore = next !== undefined && step < STEPS.length - 1;
  byId('devices-back').hidden = before === 0;
  byId('devices-next').hidden = next === undefined || total - before <= PAGE;
  list?.show(clients, total);
  byId('no-devices').hidden = total > 0;
  const past = byId('past-device', HTMLAnchorElement);
  past.hidden = match === '' || !may('history');
  past.href = linkTo('device', match);
  const first = total > clients.length ? `the first ${count(clients.length)} of ` : '';
  const part = before > 0 ? `${count(before + 1)} to ${count(before + clients.length)} of ` : first;
  setText(byId('clients-count'), `${part}${counted(total, 'device')}`);
  setText(byId('clients-missing'), missing.length === 0 ? '' : `no answer from ${missing.join(', ')}`);
}

/**
 * Shows the devices of a search.
 * @param {string} match
 * @param {string} node
 */
export function searchDevices(match, node) {
  byId('search', HTMLInputElement).value = match;
  byId('device-node', HTMLSelectElement).value = node;
  pages = [''];
  step = 0;
  byId('clients').scrollTop = 0;
  if (viewNow() === 'devices') search();
  go('devices');
}

function search() {
  void refreshDevices();
}

/** @param {readonly NodeView[]} nodes */
export function offerNodes(nodes) {
  const select = byId('device-node', HTMLSelectElement);
  const ids = ['', ...nodes.map(({ id }) => id).toSorted(natural)];
  if (ids.join('\n') === [...select.options].map(({ value }) => value).join('\n')) return;
  const { value } = select;
  select.replaceChildren(...ids.map((id) => h('option', { value: id }, id === '' ? 'all nodes' : id)));
  select.value = ids.includes(value) ? value : '';
}

export function createDevices() {
  list = new VirtualList(byId('clients'), createRow, () => {
    if (!isMore) return;
    isMore = false;
    step += 1;
    search();
  });
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  let searching;
  const soon = () => {
    pages = [''];
    step = 0;
    byId('clients').scrollTop = 0;
    clearTimeout(searching);
    searching = setTimeout(search, SEARCH_MS);
  };
  byId('search').oninput = soon;
  byId('device-node').onchange = soon;
  byId('devices-next').onclick = showNext;
  byId('devices-back').onclick = () => turnTo(pages.slice(0, -1));
}

/** @returns {Row<ClientView>} */
function createRow() {
  const link = h('a', { class: 'clip' });
  const node = h('span');
  const proxy = h('small');
  const address = h('span', { class: 'clip' });
  const protocol = h('small');
  const since = h('span');
  const moves = h('small');
  const cell = (/** @type {Node[]} */ ...children) => h('div', { class: 'cell', role: 'cell' }, ...children);
  return {
    element: h(
      'div',
      { class: 'row device-row', role: 'row' },
      cell(link),
      cell(node, proxy),
      cell(address, protocol),
      cell(since, moves),
    ),
    update(client) {
      const name = clientName(client.clientId);
      setText(link, name);
      link.title = name;
      const href = linkTo('device', nameOfConnection(client));
      if (link.getAttribute('href') !== href) link.href = href;
      setText(node, client.node);
      setText(proxy, `by ${client.proxy}`);
      setText(address, client.remoteAddress);
      setText(protocol, `MQTT ${protocols[client.protocolVersion]}, ${client.mode}`);
      setText(since, `since ${ago(client.connectedAt)}`);
      setText(
        moves,
        client.reattachments === 0
          ? 'never moved'
          : `moved ${client.reattachments === 1 ? 'once' : `${count(client.reattachments)} times`}`,
      );
    },
  };
}
