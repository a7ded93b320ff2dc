// @ts-check
/** The head of the page, and the cluster in numbers. */

import { drawSpark, Rates } from './charts.js';
import { byId, setText } from './dom.js';
import { number } from './format.js';

/** @import { StatusView } from '../backend.ts' */

const connects = new Rates();

/** @param {StatusView} status */
export function showStatus(status) {
  const { proxy, nodes, store } = status;
  setText(byId('cluster'), `cluster ${status.cluster}`);
  setText(
    byId('proxy'),
    `proxy ${proxy.id}, ${proxy.engine} engine, ${proxy.threads} threads, ${proxy.version}`,
  );
  byId('proxy').title = proxy.listeners.join('\n');
  byId('store').hidden = store.up;
  byId('store').className = 'bad';
  setText(byId('store'), `${store.kind} store is down: membership is frozen`);
  showReady(status.ready ? 'ready' : 'not ready', status.ready ? 'good' : 'bad');
  setText(byId('connections'), number.format(status.connections));
  setText(byId('healthy'), `${nodes.healthy} of ${nodes.total}`);
  setText(byId('enabled'), `${nodes.enabled} enabled`);
  setText(byId('rejected'), number.format(status.rejectedTotal));
  setText(byId('total'), number.format(status.connectionsTotal));
  const rate = connects.add(status.connectionsTotal, performance.now());
  if (rate === undefined) return;
  setText(byId('rate'), rate < 10 ? rate.toFixed(1) : number.format(Math.round(rate)));
  drawSpark(byId('spark'), connects.samples);
}

/**
 * @param {string} text
 * @param {'good' | 'bad'} tone
 * @param {string} [title]
 */
export function showReady(text, tone, title = '') {
  setText(byId('ready'), text);
  byId('ready').className = `pill dot ${tone}`;
  byId('ready').title = title;
}
