// @ts-check
/** The proxies of the cluster, each with its share of the devices. */

import { may } from './abilities.js';
import { ShareBar } from './charts.js';
import { button } from './dialogs.js';
import { byId, h, KeyedList, setText } from './dom.js';
import { ago, natural } from './format.js';
import { askDrainProxy, askRebalanceProxies, enableProxy } from './proxy-actions.js';

/** @import { ProxyView } from '../backend.ts' */
/** @import { Row } from './dom.js' */

const around = { fair: 0, scale: 1, self: '' };

/** @returns {(proxies: readonly ProxyView[], self: string) => void} shows them */
export function createProxies() {
  const rebalance = button('Rebalance', askRebalanceProxies);
  rebalance.hidden = true;
  byId('proxies-actions').append(rebalance);
  const list = new KeyedList(byId('proxies'), (/** @type {ProxyView} */ { id }) => id, createRow);
  return (proxies, self) => {
    const all = proxies.reduce((sum, { connections }) => sum + connections, 0);
    around.self = self;
    rebalance.hidden = proxies.length < 2 || !may('rebalanceProxies');
    around.fair = proxies.length > 1 ? all / proxies.length : 0;
    around.scale = Math.max(1, around.fair, ...proxies.map(({ connections }) => connections)) * 1.05;
    list.show(proxies.toSorted((a, b) => b.lastSeen - a.lastSeen || natural(a.id, b.id)));
  };
}

/**
 * @param {ProxyView} proxy
 * @returns {Row<ProxyView>}
 */
function createRow({ id }) {
  /** @type {ProxyView | undefined} */
  let shown;
  const drain = button('Drain', () => shown && askDrainProxy(shown));
  const enable = button('Enable', () => enableProxy(id));
  const where = h('small', { class: 'clip' });
  const life = h('span');
  const what = h('small');
  const here = h('small', { class: 'badge' }, 'this one');
  const bar = new ShareBar();
  const element = h(
    'div',
    { class: 'row proxy-row', role: 'row' },
    h('div', { class: 'cell name', role: 'cell' }, h('span', {}, h('strong', {}, id), ' ', here), where),
    h('div', { class: 'cell', role: 'cell' }, life, what),
    h('div', { class: 'cell connections', role: 'cell' }, bar.element),
    h('div', { class: 'cell', role: 'cell' }, drain, enable),
  );
  return {
    element,
    update(proxy) {
      shown = proxy;
      const { connections, host, pid, version, engine, threads, listeners, startedAt, lastSeen, state } =
        proxy;
      drain.hidden = state !== 'enabled' || !may('drainProxy');
      enable.hidden = state !== 'draining' || !may('enableProxy');
      here.hidden = id !== around.self;
      setText(where, listeners.join(', '));
      where.title = listeners.join('\n');
      const isMissed = lastSeen >= 10;
      const well = state === 'enabled' ? `up for ${ago(startedAt)}` : state;
      setText(life, isMissed ? `last heard of ${Math.round(lastSeen)} s ago` : well);
      life.className = isMissed ? 'dot bad' : state === 'enabled' ? 'dot good' : 'dot warn';
      setText(what, `${version}, ${engine} × ${threads}, ${host} (${pid})`);
      bar.draw(connections, around.fair, around.scale);
    },
  };
}
