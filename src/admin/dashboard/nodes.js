// @ts-check
/** The nodes: what needs attention first, each against its fair share. */

import { may } from './abilities.js';
import { getIfThere } from './api.js';
import { byAttention, fairShares } from './attention.js';
import { progress, Rates, ShareBar, Trend } from './charts.js';
import { button } from './dialogs.js';
import { byId, h, KeyedList, setClass, setText } from './dom.js';
import { ago, clockTime, count, counted, duration } from './format.js';
import { askDrain, enable, nodePath } from './node-actions.js';
import { linkTo } from './places.js';

/** @import { DrainView, NodeView } from '../backend.ts' */
/** @import { Row } from './dom.js' */

/** The order puts first what matters; more rows would only cost time. */
const ROWS = 100;
/** A filter is of use from so many nodes on. */
const FILTER_FROM = 10;
/** Drains that are asked about at each refresh. */
const DRAINS = 8;

export const tones = /** @type {const} */ ({
  ...{ healthy: 'good', unhealthy: 'bad', unknown: 'muted' },
  ...{ enabled: '', draining: 'warn', disabled: 'muted' },
});

/** How far each node that drains has come, by id; over all proxies. @type {Map<string, DrainView>} */
export const drains = new Map();

/** Connects and messages of each node, by id. @type {Map<string, { connects: Rates, messages: Rates }>} */
const rates = new Map();

/** @param {string} id */
export function ratesOf(id) {
  return rates.get(id);
}

/** What a row needs to know of all the others. */
const around = { scale: 1, shares: new Map(), hasPools: false };

/** @param {readonly NodeView[]} nodes */
export function noteNodes(nodes) {
  const now = performance.now();
  const ids = new Set(nodes.map(({ id }) => id));
  for (const id of rates.keys()) if (!ids.has(id)) rates.delete(id);
  for (const { id, connectsTotal, messagesTotal } of nodes) {
    const of = rates.get(id) ?? { connects: new Rates(), messages: new Rates() };
    rates.set(id, of);
    of.connects.add(connectsTotal, now);
    of.messages.add(messagesTotal, now);
  }
}

/** @param {readonly NodeView[]} nodes */
export async function refreshDrains(nodes) {
  const draining = nodes.filter((node) => node.state === 'draining').map((node) => node.id);
  for (const id of drains.keys()) if (!draining.includes(id)) drains.delete(id);
  await Promise.all(
    draining.slice(0, DRAINS).map(async (id) => {
      const drain = await getIfThere(`${nodePath(id)}/drain`);
      if (drain !== undefined) drains.set(id, drain);
    }),
  );
}

/** @returns {(nodes: readonly NodeView[]) => void} shows them */
export function createNodes() {
  const list = new KeyedList(byId('nodes'), (/** @type {NodeView} */ { id }) => id, createRow);
  const filter = byId('node-filter', HTMLInputElement);
  /** @type {readonly NodeView[]} */
  let known = [];
  const draw = () => {
    const wanted = filter.value.trim().toLowerCase();
    const matching = known.filter(({ id, pool, url }) =>
      `${id} ${pool} ${url}`.toLowerCase().includes(wanted),
    );
    const shown = byAttention(matching, drains).slice(0, ROWS);
    list.show(shown);
    const rest = matching.length - shown.length;
    setText(
      byId('nodes-rest'),
      rest > 0 ? `and ${counted(rest, 'more node')} in order: filter to see them` : '',
    );
    byId('no-nodes').hidden = known.length > 0;
    byId('no-match').hidden = known.length === 0 || matching.length > 0;
  };
  filter.oninput = draw;
  return (nodes) => {
    known = nodes;
    around.shares = fairShares(nodes);
    around.scale =
      Math.max(1, ...nodes.map(({ connections }) => connections), ...around.shares.values()) * 1.05;
    around.hasPools = new Set(nodes.map(({ pool }) => pool)).size > 1;
    filter.hidden = nodes.length < FILTER_FROM;
    draw();
  };
}

/**
 * @param {NodeView} node
 * @returns {Row<NodeView>}
 */
function createRow({ id }) {
  const url = h('small', { class: 'clip' });
  const health = h('span');
  const cause = h('small', { class: 'cause' });
  const since = h('small');
  const state = h('span');
  const drain = h('div', { class: 'drain' });
  const weight = h('small');
  const bar = new ShareBar();
  const connects = new Trend(`Connects to ${id} a second, last two minutes`);
  const messages = new Trend(`Messages through ${id} a second, last two minutes`);
  const buttons = h('div', { class: 'cell actions', role: 'cell' });
  /** @type {NodeView} */
  let node;
  const act = {
    enable: button('Enable', () => enable(id)),
    drain: button('Drain', () => askDrain(node)),
  };
  const cell = (/** @type {string} */ name, /** @type {Node[]} */ ...children) =>
    h('div', { class: `cell ${name}`, role: 'cell' }, ...children);
  const trend = (/** @type {string} */ label, /** @type {Trend} */ { element }) =>
    h('div', { class: 'cell trend', role: 'cell', 'data-label': label }, element);
  const element = h(
    'div',
    { class: 'row node-row', role: 'row' },
    cell('name', h('a', { href: linkTo('node', id) }, id), url),
    cell('health', health, cause, since),
    cell('state', state, weight, drain),
    cell('connections', bar.element),
    trend('Connects', connects),
    trend('Messages', messages),
    buttons,
  );
  return {
    element,
    update(now) {
      node = now;
      setText(url, around.hasPools ? `${now.pool} · ${now.url}` : now.url);
      url.title = now.url;
      const isAlarm = now.health === 'unhealthy' && now.state !== 'disabled';
      setClass(element, `row node-row${isAlarm ? ' alarm' : ''}`);
      setText(health, now.health);
      setClass(health, `dot ${now.state === 'disabled' ? 'muted' : tones[now.health]}`);
      setText(cause, causeOf(now));
      setText(since, sinceOf(now));
      setText(state, now.state);
      setClass(state, `badge ${tones[now.state]}`);
      setText(weight, weightOf(now));
      showDrain(drain, now);
      bar.draw(now.connections, around.shares.get(id) ?? 0, around.scale);
      connects.draw(rates.get(id)?.connects);
      messages.draw(rates.get(id)?.messages);
      showButtons(buttons, act, now);
    },
  };
}

/**
 * @param {HTMLElement} place
 * @param {{ enable: HTMLElement, drain: HTMLElement }} act
 * @param {NodeView} node
 */
function showButtons(place, act, { state }) {
  const wanted = [];
  if (state !== 'enabled' && may('change')) wanted.push(act.enable);
  if (state === 'enabled' && may('drain')) wanted.push(act.drain);
  if (place.firstChild !== (wanted[0] ?? null)) place.replaceChildren(...wanted);
}

/**
 * Why a node is well is of no interest; for how long it has been is.
 * @param {NodeView} node
 */
export function causeOf({ health, healthCause = '' }) {
  return health === 'healthy' ? '' : healthCause;
}

/** @param {NodeView} node */
export function sinceOf({ health, healthSince }) {
  if (healthSince === undefined) return '';
  if (health === 'healthy') return `for ${ago(healthSince)}`;
  return `since ${clockTime(healthSince)} (${ago(healthSince)})`;
}

/** @param {NodeView} node */
function weightOf({ weight, maxConnections }) {
  return maxConnections === undefined
    ? `weight ${weight}`
    : `weight ${weight}, at most ${count(maxConnections)}`;
}

/**
 * @param {HTMLElement} place
 * @param {NodeView} node
 */
export function showDrain(place, { id, state }) {
  const drain = drains.get(id);
  if (state !== 'draining' || drain === undefined) return place.replaceChildren();
  const { moved, left, stays, timeLeft } = drain;
  const ahead = timeLeft === undefined || left === 0 ? '' : `, ${duration(timeLeft)} to go`;
  const rest = stays > 0 ? `, ${count(stays)} stay` : '';
  const isEmpty = drain.state === 'done';
  const text = isEmpty
    ? `empty, ${count(moved)} moved`
    : `${count(moved)} moved, ${count(left)} left${rest}${ahead}`;
  const bar = place.querySelector('progress');
  const note = place.querySelector('small');
  if (bar === null || note === null) {
    return place.replaceChildren(progress(moved, moved + left, `Drain of ${id}`), h('small', {}, text));
  }
  bar.max = Math.max(1, moved + left);
  bar.value = isEmpty ? bar.max : moved;
  setText(note, text);
}
