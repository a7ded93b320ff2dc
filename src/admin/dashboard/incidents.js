// @ts-check
/** What happened, as people speak of it: each incident is one line. */

import { may } from './abilities.js';
import { getIfThere } from './api.js';
import { byId, h, KeyedList, setClass, setText } from './dom.js';
import { ago, clockTime, visible } from './format.js';

/** @import { Row } from './dom.js' */

/**
 * One incident as the API tells it.
 * @typedef {{
 *   readonly id: string, readonly text: string, readonly kind: string, readonly from: string,
 *   readonly isOver: boolean, readonly disconnected?: number,
 * }} IncidentView
 */

const SHOWN = 30;

/** @returns {() => Promise<void>} shows what the proxies know now */
export function createIncidents() {
  const list = new KeyedList(byId('incidents'), (/** @type {IncidentView} */ { id }) => id, createRow);
  return async () => {
    if (!may('incidents')) return;
    const said = await getIfThere('/incidents');
    /** @type {IncidentView[]} */
    const incidents = (Array.isArray(said) ? said : (said?.incidents ?? [])).slice(0, SHOWN);
    byId('incidents-card').hidden = false;
    list.show(incidents);
    byId('no-incidents').hidden = incidents.length > 0;
  };
}

/** @returns {Row<IncidentView>} */
function createRow() {
  const time = h('time');
  const text = h('span');
  const note = h('small');
  return {
    element: h('li', {}, time, h('div', {}, text, ' ', note)),
    update(incident) {
      setText(time, clockTime(incident.from));
      setText(text, visible(incident.text));
      setClass(text, incident.isOver ? '' : 'bad');
      setText(note, incident.isOver ? `${ago(incident.from)} ago` : 'going on');
    },
  };
}
