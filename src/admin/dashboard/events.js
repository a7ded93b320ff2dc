// @ts-check
/** What happens, newest first: one line for what is alike, and a filter by kind that holds. */

import { followEvents, get } from './api.js';
import { byId, h, KeyedList, setClass, setText } from './dom.js';
import { EventLog, groupNames, groupOf, kindsOf } from './event-log.js';
import { sentenceOf } from './event-text.js';
import { clientName, clockTime, count, messageOf } from './format.js';

/** @import { EventList, KeptEvent } from '../journal-views.ts' */
/** @import { Row } from './dom.js' */
/** @import { Entry, Group } from './event-log.js' */

/** Many events may come in one frame's time: they are drawn together. */
const DRAW_MS = 100;
/** Of each kind, from before the page was opened; a lost node is many moves. */
const PAST = 200;
const PAST_MOVES = 1000;
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

/** @type {Group | ''} */
let shown = '';

/** @param {() => void} onNode told when something happened to a node, or an incident began */
export function watchEvents(onNode) {
  const log = new EventLog();
  const list = new KeyedList(byId('events'), (/** @type {Entry} */ { number }) => `${number}`, createRow);
  const showCounts = createFilters(log, () => draw());
  function draw() {
    const entries = log.list(shown);
    list.show(entries);
    byId('no-events').hidden = entries.length > 0;
    showCounts();
  }
  let isDue = false;
  function soon() {
    if (isDue) return;
    isDue = true;
    setTimeout(() => {
      isDue = false;
      draw();
    }, DRAW_MS);
  }
  draw();
  const past = pastOf();
  const told = past.then((events) => {
    for (const event of events) log.add(event);
    soon();
    return new Set(events.map(({ id }) => id));
  });
  return followEvents(async (event, id) => {
    // What happens comes behind what has happened, and may be told by both.
    if ((await told).has(id)) return;
    if (event.type !== 'incident') log.add(event);
    if (event.type === 'incident' || groupOf(event) === 'node') onNode();
    soon();
  }, showLive);
}

/**
 * What the proxies of the cluster keep, oldest first.
 * @returns {Promise<KeptEvent[]>}
 */
async function pastOf() {
  const lists = await Promise.all(
    groupNames.map(async (group) => {
      /** @type {EventList} */
      const { events } = await get(
        `/events?kind=${kindsOf[group]}&limit=${group === 'move' ? PAST_MOVES : PAST}`,
      );
      return events;
    }),
  ).catch((error) => {
    setText(byId('no-events'), `What has happened is not known: ${messageOf(error)}`);
    return [];
  });
  return lists.flat().toSorted((a, b) => Date.parse(a.at) - Date.parse(b.at));
}

/**
 * @param {boolean} isLive
 * @param {readonly string[]} missing proxies that do not answer
 */
function showLive(isLive, missing) {
  const without = missing.length === 0 ? 'live' : `live, without ${missing.join(', ')}`;
  setText(byId('live'), isLive ? without : 'reconnecting');
  setClass(byId('live'), `live dot ${isLive && missing.length === 0 ? 'good' : 'warn'}`);
}

/**
 * One button for each kind, with how many there are of it.
 * @param {EventLog} log
 * @param {() => void} onChange
 * @returns {() => void} shows the counts
 */
function createFilters(log, onChange) {
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
