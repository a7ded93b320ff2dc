// @ts-check
/** What has happened at all proxies, as people speak of it: each incident is one line. */

import { may } from './abilities.js';
import { get } from './api.js';
import { byId, h, KeyedList, setClass, setText } from './dom.js';
import { ago, clockTime, messageOf, visible } from './format.js';
import { linkTo } from './places.js';

/** @import { IncidentList, IncidentView } from '../journal-views.ts' */
/** @import { Row } from './dom.js' */

const SHOWN = 30;
/** All proxies are asked; an event tells when one begins. */
const REFRESH_MS = 6000;

/** What a person wanted is no alarm. @type {readonly IncidentView['kind'][]} */
const wanted = ['drain', 'rebalance'];

/** @returns {(force: boolean) => Promise<void>} shows what the proxies know now */
export function createIncidents() {
  const list = new KeyedList(byId('incidents'), (/** @type {IncidentView} */ { id }) => id, createRow);
  let askedAt = Number.NEGATIVE_INFINITY;
  return async (force) => {
    if (!may('incidents') || (!force && performance.now() - askedAt < REFRESH_MS)) return;
    askedAt = performance.now();
    try {
      /** @type {IncidentList} */
      const { incidents, missing } = await get(`/incidents?limit=${SHOWN}`);
      list.show(incidents);
      byId('no-incidents').hidden = incidents.length > 0;
      setText(byId('incidents-missing'), missing.length === 0 ? '' : `no answer from ${missing.join(', ')}`);
    } catch (error) {
      setText(byId('incidents-missing'), messageOf(error));
    }
  };
}

/**
 * The sentence of the API without its time of day, which is in UTC; the line begins with that of the person.
 * @param {IncidentView} incident
 */
function textOf({ summary }) {
  return visible(summary.replace(/ (?:at \d\d:\d\d:\d\d|from \d\d:\d\d:\d\d on)/, ''));
}

/** @returns {Row<IncidentView>} */
function createRow() {
  const time = h('time');
  const text = h('span');
  const note = h('small');
  return {
    element: h('li', {}, time, h('div', {}, text, ' ', note)),
    update(incident) {
      const { from, to, node, kind } = incident;
      setText(time, clockTime(from));
      const sentence = textOf(incident);
      if (text.textContent !== sentence) {
        const isOfNode = node !== undefined && sentence.startsWith(node);
        const rest = isOfNode ? sentence.slice(node.length) : sentence;
        text.replaceChildren(...(isOfNode ? [h('a', { href: linkTo('node', node) }, node)] : []), rest);
      }
      setClass(text, to === undefined && !wanted.includes(kind) ? 'bad' : '');
      setText(note, to === undefined ? 'going on' : `${ago(from)} ago`);
    },
  };
}
