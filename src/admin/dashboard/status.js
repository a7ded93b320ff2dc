// @ts-check
/** The head of the page: how the cluster stands, in one sentence, in a list of what is wrong, and in numbers. */

import { roleNow } from './abilities.js';
import { problemsOf } from './attention.js';
import { Rates, Sparkline } from './charts.js';
import { byId, h, KeyedList, setClass, setText } from './dom.js';
import { ago, clockTime, count, counted, perSecond } from './format.js';
import { drains } from './nodes.js';
import { linkTo } from './places.js';

/** @import { NodeView, ProxyView, StatusView } from '../backend.ts' */
/** @import { Problem } from './attention.js' */
/** @import { Row } from './dom.js' */

const connects = new Rates();
const refusals = new Rates();

/** @returns {(status: StatusView, nodes: readonly NodeView[], proxies: readonly ProxyView[]) => void} shows them */
export function createStatus() {
  const problems = new KeyedList(byId('problems'), (/** @type {Problem} */ { what }) => what, createProblem);
  const sparks = {
    connects: new Sparkline('Connects a second, last two minutes'),
    refusals: new Sparkline('Devices turned away a second, last two minutes'),
  };
  byId('rate').after(sparks.connects.element);
  byId('rejected').after(sparks.refusals.element);
  return (status, nodes, proxies) => {
    const { proxy, cluster } = status;
    setText(byId('cluster'), cluster === 'default' ? 'cluster' : `cluster ${cluster}`);
    setText(
      byId('proxy'),
      `seen by ${proxy.id}, ${proxy.version}${roleNow() === 'admin' ? '' : `, as ${roleNow()}`}`,
    );
    const found = problemsOf(status, nodes, proxies, drains);
    problems.show(found);
    showReady(status, found);
    showNumbers(status, proxies, nodes);
    const now = performance.now();
    connects.add(status.connectionsTotal, now);
    refusals.add(status.rejectedTotal, now);
    setText(byId('rate'), connects.last === undefined ? '–' : perSecond(connects.last));
    setText(byId('rejected'), refusals.last === undefined ? '–' : perSecond(refusals.last));
    sparks.connects.draw(connects.samples);
    sparks.refusals.draw(refusals.samples);
  };
}

/**
 * @param {StatusView} status
 * @param {readonly NodeView[]} nodes
 * @param {readonly ProxyView[]} proxies
 */
function showNumbers(status, proxies, nodes) {
  const all = proxies.reduce((sum, { connections }) => sum + connections, 0);
  setText(byId('connections'), count(all));
  setText(byId('connections-note'), proxies.length > 1 ? `at ${proxies.length} proxies` : 'connected now');
  const { healthy, total, enabled } = status.nodes;
  setText(byId('healthy'), `${count(healthy)} of ${count(total)}`);
  const isAlarm = nodes.some(({ health, state }) => health === 'unhealthy' && state !== 'disabled');
  setClass(byId('healthy'), `number${isAlarm ? ' bad' : ''}`);
  setText(byId('enabled'), `${count(enabled)} enabled`);
  setText(byId('total'), `this proxy: ${count(status.connectionsTotal)}`);
  setText(byId('rejected-total'), `this proxy: ${count(status.rejectedTotal)}`);
}

/**
 * @param {StatusView} status
 * @param {readonly Problem[]} problems
 */
function showReady({ ready, nodes }, problems) {
  const bad = problems.filter(({ tone }) => tone === 'bad').length;
  byId('all-well').hidden = problems.length > 0;
  setText(
    byId('all-well'),
    `All is well: ${counted(nodes.enabled, 'node')} in use, nothing needs attention.`,
  );
  const text = bad > 0 ? counted(bad, 'problem') : ready ? 'ready' : 'not ready';
  showPill(text, bad > 0 || !ready ? 'bad' : 'good');
  document.title = bad > 0 ? `(${bad}) Breakwater` : 'Breakwater';
}

/**
 * @param {string} text
 * @param {'good' | 'bad'} tone
 * @param {string} [title]
 */
function showPill(text, tone, title = '') {
  const pill = byId('ready');
  setText(pill, text);
  setClass(pill, `pill dot ${tone}`);
  pill.title = title;
}

/** What is shown is of before. @param {string} why */
export function showUnreachable(why) {
  showPill('not reachable', 'bad', why);
  document.title = '(!) Breakwater';
}

/** @returns {Row<Problem>} */
function createProblem() {
  const what = h('strong');
  const why = h('span');
  const since = h('small');
  const element = h('li', {}, h('div', {}, what, ' ', why), since);
  return {
    element,
    update(problem) {
      setClass(element, problem.tone);
      if (what.textContent !== problem.what) {
        const { node } = problem;
        what.replaceChildren(
          node === undefined ? problem.what : h('a', { href: linkTo('node', node) }, problem.what),
        );
      }
      setText(why, problem.why);
      setText(
        since,
        problem.since === undefined ? '' : `since ${clockTime(problem.since)} (${ago(problem.since)})`,
      );
    },
  };
}
