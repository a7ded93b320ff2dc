// @ts-check
/** What can be done with proxies, each with its question. */

import { request } from './api.js';
import { ask } from './dialogs.js';
import { counted } from './format.js';

/** @import { ProxyView } from '../backend.ts' */

/** @type {import('./dialogs.js').Field} */
const rateField = {
  ...{ name: 'rate', label: 'Devices a second', type: 'number', min: 0.1, max: 100_000, step: 'any' },
  hint: 'Empty: 100.',
};

/** @param {Readonly<Record<string, string>>} values */
function rateOf({ rate = '' }) {
  return rate === '' ? {} : { rate: Number(rate) };
}

/** @param {ProxyView} proxy */
export function askDrainProxy({ id, connections }) {
  ask({
    title: `Drain ${id}?`,
    text: `It is not ready from now on, so that new devices go to other proxies. After 5 s its ${counted(connections, 'device')} are disconnected one after the other, and connect again.`,
    yes: 'Drain',
    isDangerous: true,
    fields: [rateField],
    run: (values) => request('POST', `/proxies/${encodeURIComponent(id)}/drain`, rateOf(values)),
  });
}

/** @param {string} id */
export function enableProxy(id) {
  return request('POST', `/proxies/${encodeURIComponent(id)}/enable`);
}

export function askRebalanceProxies() {
  ask({
    title: 'Rebalance the proxies?',
    text: 'Devices that a proxy has above the mean are disconnected one after the other, and connect again, to whichever proxy the balancer before them chooses.',
    yes: 'Rebalance',
    isDangerous: true,
    fields: [rateField],
    run: (values) => request('POST', '/proxy-rebalance', rateOf(values)),
  });
}
