// @ts-check
/** The nodes: what needs attention first, each against its fair share. */

import { may } from './abilities.js';
import { getIfThere } from './api.js';
import { byAttention, fairShares } from './attention.js';
import { progress, Rates, ShareBar, Sparkline } from './charts.js';
import { button } from './dialogs.js';
import { byId, h, KeyedList, setClass, setText } from './dom.js';
import { ago, clockTime, count, counted, duration, perSecond } from './format.js';
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

/** Connects of each node, by id. @type {Map<string, Rates>} */
const connects = new Map();

/** @param {string} id */
export function connectsOf(id) {
  return connects.get(id);
}

/** What a row needs to know of all the others. */
const around = { scale: 1, shares: new Map(), hasPools: false };

/** @param {readonly NodeView[]} nodes */
export function noteNodes(nodes) {
  const now = performance.now();
  const ids = new Set(nodes.map(({ id }) => id));
  for (const id of connects.keys()) if (!ids.has(id)) connects.delete(id);
  for (const { id, connectsTotal } of nodes) {
    const rates = connects.get(id) ?? new Rates();
    connects.set(id, rates);
    rates.add(connectsTotal, now);
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
  const state = h('span');
  const drain = h('div', { class: 'drain' });
  const weight = h('small');
  const bar = new ShareBar();
  const rate = h('small', { class: 'rate' });
  const spark = new Sparkline(`Connects to ${id} a second, last two minutes`);
  const buttons = h('div', { class: 'cell actions', role: 'cell' });
  /** @type {NodeView} */
  let node;
  const act = {
    enable: button('Enable', () => enable(id)),
    drain: button('Drain', () => askDrain(node)),
  };
  const cell = (/** @type {string} */ name, /** @type {Node[]} */ ...children) =>
    h('div', { class: `cell ${name}`, role: 'cell' }, ...children);
  const element = h(
    'div',
    { class: 'row node-row', role: 'row' },
    cell('name', h('a', { href: linkTo('node', id) }, id), url),
    cell('health', health, cause),
    cell('state', state, weight, drain),
    cell('connections', bar.element),
    cell('trend', spark.element, rate),
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
      setText(state, now.state);
      setClass(state, `badge ${tones[now.state]}`);
      setText(weight, weightOf(now));
      showDrain(drain, now);
      bar.draw(now.connections, around.shares.get(id) ?? 0, around.scale);
      const rates = connects.get(id);
      spark.draw(rates?.samples ?? []);
      setText(rate, rates?.last === undefined ? '' : `${perSecond(rates.last)}/s`);
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

/** @param {NodeView} node */
export function causeOf({ health, healthCause, healthSince }) {
  if (healthSince === undefined) return '';
  // Why a node is well is of no interest; for how long it has been is.
  if (health === 'healthy' || healthCause === undefined) return `for ${ago(healthSince)}`;
  return `${healthCause}, since ${clockTime(healthSince)} (${ago(healthSince)})`;
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
