// @ts-check
/** What happens, newest first: one line for what is alike, and a filter by kind that holds. */

import { takes } from './abilities.js';
import { followEvents } from './api.js';
import { byId, h, KeyedList, setClass, setText } from './dom.js';
import { EventLog, groupNames, groupOf } from './event-log.js';
import { sentenceOf } from './event-text.js';
import { clientName, clockTime, count } from './format.js';

/** @import { Row } from './dom.js' */
/** @import { Entry, Group } from './event-log.js' */

/** Many events may come in one frame's time: they are drawn together. */
const DRAW_MS = 100;
/** What happened before the page was opened, where the proxy keeps it. */
const BACK_MS = 60 * 60 * 1000;
/** Where the filter is kept, so that it holds over a reload of the page. */
const FILTER = 'breakwater-events';

/** @type {Readonly<Record<Group | '', string>>} */
const labels = {
  '': 'All',
  node: 'Nodes',
  move: 'Moves',
  device: 'Devices',
  refusal: 'Refused',
  change: 'Changes',
};

const log = new EventLog();
/** The newest that was told. */
let newest = '';
/** @type {Group | ''} */
let shown = '';

/** @param {() => void} onNode told when something happened to a node */
export function watchEvents(onNode) {
  const list = new KeyedList(byId('events'), (/** @type {Entry} */ { number }) => `${number}`, createRow);
  const filters = createFilters(() => draw());
  let isDue = false;
  const draw = () => {
    const entries = log.list(shown);
    list.show(entries);
    byId('no-events').hidden = entries.length > 0;
    filters();
  };
  draw();
  const path = () => {
    if (!takes('/events', 'since')) return '/events';
    const since = newest === '' ? new Date(Date.now() - BACK_MS).toISOString() : newest;
    return `/events?since=${encodeURIComponent(since)}`;
  };
  return followEvents(
    path,
    (event) => {
      newest = typeof event.id === 'string' ? event.id : event.at;
      log.add(event);
      if (groupOf(event) === 'node') onNode();
      if (isDue) return;
      isDue = true;
      setTimeout(() => {
        isDue = false;
        draw();
      }, DRAW_MS);
    },
    showLive,
  );
}

/** @param {boolean} isLive */
function showLive(isLive) {
  setText(byId('live'), isLive ? 'live' : 'reconnecting');
  setClass(byId('live'), `live dot ${isLive ? 'good' : 'warn'}`);
}

/**
 * One button for each kind, with how many there are of it.
 * @param {() => void} onChange
 * @returns {() => void} shows the counts
 */
function createFilters(onChange) {
  const kept = sessionStorage.getItem(FILTER);
  shown = groupNames.find((group) => group === kept) ?? '';
  const choices = /** @type {const} */ (['', ...groupNames]);
  const buttons = choices.map((group) => {
    const number = h('span', { class: 'chip-count' });
    const choose = () => {
      shown = group;
      sessionStorage.setItem(FILTER, group);
      onChange();
    };
    const button = h('button', { type: 'button', class: 'chip', onclick: choose }, labels[group], number);
    byId('filters').append(button);
    return { group, button, number };
  });
  return () => {
    for (const { group, button, number } of buttons) {
      button.setAttribute('aria-pressed', String(group === shown));
      setText(number, group === '' || log.count(group) === 0 ? '' : count(log.count(group)));
    }
  };
}

/** @returns {Row<Entry>} */
function createRow() {
  const time = h('time');
  const what = h('strong');
  const detail = h('small');
  const names = h('p', { class: 'names' });
  const more = h('details', { hidden: true }, h('summary', {}, 'which devices'), names);
  const element = h('li', {}, time, h('div', {}, what, ' ', detail, more));
  let drawn = 0;
  return {
    element,
    update(entry) {
      if (drawn === entry.count) return;
      drawn = entry.count;
      const { tone, what: text, detail: rest } = sentenceOf(entry);
      setText(time, clockTime(entry.last.at));
      setText(what, text);
      setClass(what, tone);
      setText(detail, rest);
      more.hidden = entry.count < 2 || entry.names.length === 0;
      const others = entry.count - entry.names.length;
      const list = entry.names.map(clientName).join(', ');
      setText(names, others > 0 ? `${list} and ${count(others)} more` : list);
    },
  };
}
