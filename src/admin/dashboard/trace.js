// @ts-check
/** The packets of one device, as they pass. */

import { readStream } from './api.js';
import { h, setText } from './dom.js';
import { count, messageOf, size, visible } from './format.js';

/**
 * One packet as the API tells it.
 * @typedef {{
 *   readonly at: string, readonly direction: 'from-device' | 'to-device', readonly type: string, readonly size: number,
 *   readonly id?: number, readonly code?: number, readonly topic?: string, readonly qos?: number,
 *   readonly dup?: boolean, readonly retain?: boolean, readonly filters?: readonly string[],
 * }} Packet
 */

/** Lines; older ones go. */
const KEPT = 100;

/**
 * A button that switches the trace on and off, and its lines. It ends with the panel that it is in.
 * @param {string} path of the trace, below the API's prefix
 */
export function createTrace(path) {
  const lines = h('ol', { class: 'log trace' });
  const note = h('small', { role: 'status' });
  const toggle = h('button', { type: 'button', 'aria-pressed': 'false' }, 'Trace packets');
  /** @type {AbortController | undefined} */
  let running;
  let lost = 0;
  const body = h('div', { hidden: true }, note, lines);

  async function follow() {
    const mine = new AbortController();
    running = mine;
    body.hidden = false;
    toggle.setAttribute('aria-pressed', 'true');
    setText(note, 'Packets are shown as they pass; payloads are not.');
    try {
      await readStream(path, (frame) => show(frame), { signal: mine.signal });
    } catch (error) {
      if (!mine.signal.aborted) setText(note, messageOf(error));
    }
    if (running === mine) stop();
  }

  function stop() {
    running?.abort();
    running = undefined;
    toggle.setAttribute('aria-pressed', 'false');
  }

  /** @param {import('./api.js').Frame} frame */
  function show({ event, data }) {
    if (!toggle.isConnected) return stop();
    if (event === 'packet') {
      lines.prepend(lineOf(data));
      if (lines.childElementCount > KEPT) lines.lastElementChild?.remove();
    } else if (event === 'dropped') {
      lost += data.count;
      setText(note, `${count(lost)} packets came faster than they could be shown`);
    } else if (event === 'end') setText(note, `The trace has ended: ${visible(data.reason)}`);
  }

  toggle.onclick = () => {
    if (running === undefined) void follow();
    else stop();
  };
  return { toggle, body, stop };
}

/** @param {Packet} packet */
function lineOf({ at, direction, type, topic, filters, qos, id, code, dup, retain, ...rest }) {
  const details = [
    topic === '' ? 'by alias' : topic,
    filters?.join(', '),
    qos === undefined ? undefined : `QoS ${qos}`,
    id === undefined ? undefined : `id ${id}`,
    code === undefined ? undefined : `code ${code}`,
    dup === true ? 'again' : undefined,
    retain === true ? 'retained' : undefined,
    size(rest.size),
  ];
  const text = details.filter((part) => part !== undefined).join(' · ');
  const time = new Date(at).toISOString().slice(14, 23);
  const arrow = direction === 'from-device' ? '→ node' : '← node';
  const what = h('strong', {}, `${arrow} ${type.toUpperCase()}`);
  return h('li', {}, h('time', {}, time), h('div', {}, what, ' ', h('small', {}, visible(text))));
}
