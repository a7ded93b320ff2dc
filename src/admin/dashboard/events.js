// @ts-check
/** What happens, newest first. */

import { followEvents } from './api.js';
import { byId, fill, find, newRow, setText } from './dom.js';

/** @import { BreakwaterEvent } from '../backend.ts' */

const SHOWN = 200;
/** Many events may come in one frame's time: they are drawn together. */
const DRAW_MS = 50;

/** @type {Partial<Record<BreakwaterEvent['type'], string>>} */
const tones = { rejected: 'warn', 'dial-failed': 'bad', placed: 'good', ended: 'muted', reattached: 'good' };
/** Told about nodes, though not by name. */
const nodeEvents = ['drain-progress', 'rebalance-progress'];

/** Not drawn yet. @type {BreakwaterEvent[]} */
const waiting = [];

/** @param {() => void} onNode told when something happened to a node */
export function watchEvents(onNode) {
  byId('filter').onchange = filterEvents;
  return followEvents((event) => {
    waiting.push(event);
    if (waiting.length > SHOWN) waiting.shift();
    if (waiting.length === 1) setTimeout(() => drawEvents(onNode), DRAW_MS);
  }, showLive);
}

/** @param {boolean} isLive */
function showLive(isLive) {
  setText(byId('live'), isLive ? 'live' : 'reconnecting');
  byId('live').className = `live ${isLive ? 'good' : 'warn'}`;
}

/** @param {() => void} onNode */
function drawEvents(onNode) {
  const list = byId('events');
  for (const event of waiting.splice(0)) {
    const isNode = event.type.startsWith('node-') || nodeEvents.includes(event.type);
    list.prepend(createRow(event, isNode));
    if (isNode) onNode();
  }
  while (list.children.length > SHOWN) list.lastElementChild.remove();
  filterEvents();
}

/**
 * @param {BreakwaterEvent} event
 * @param {boolean} isNode
 */
function createRow({ type, at, clientId, node, from, to, ...rest }, isNode) {
  const subject = [clientId, node, from, to].filter((part) => part !== undefined && part !== '').join(' → ');
  const shown = Object.entries(rest).filter(([, value]) => value !== undefined && value !== '');
  const detail = shown.map(([key, value]) => `${key} ${value}`).join(' · ');
  const row = newRow('event-row');
  const time = new Date(at).toLocaleTimeString('en-GB');
  fill(row, { time, type: type.replace('-', ' '), subject, detail });
  row.dataset.group = isNode ? 'node' : 'device';
  const isBad =
    rest.health === 'unhealthy' ||
    type === 'node-removed' ||
    rest.state === 'blocked' ||
    rest.result === 'failed';
  find(row, '.kind').classList.add(isBad ? 'bad' : (tones[type] ?? 'kind'));
  return row;
}

function filterEvents() {
  const group = byId('filter').value;
  let shown = 0;
  for (const row of byId('events').children) {
    row.hidden = group !== '' && row.dataset.group !== group;
    if (!row.hidden) shown += 1;
  }
  byId('no-events').hidden = shown > 0;
}
