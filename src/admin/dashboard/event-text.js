// @ts-check
/** Events in sentences. Pure. */

import { clientName, count, counted, duration, visible } from './format.js';

/** @import { BreakwaterEvent } from '../backend.ts' */
/** @import { Entry } from './event-log.js' */

/** @typedef {{ readonly tone: 'good' | 'warn' | 'bad' | '', readonly what: string, readonly detail: string }} Sentence */

/**
 * @param {Entry} entry
 * @returns {Sentence}
 */
export function sentenceOf(entry) {
  const { last, count: times, names } = entry;
  const who = times === 1 ? clientName(names[0] ?? '') : counted(times, 'device');
  switch (last.type) {
    case 'placed':
      return { tone: '', what: `${who} connected`, detail: `at ${last.node}` };
    case 'ended': {
      const after = times === 1 ? `, after ${duration(Number(last.duration ?? 0))}` : '';
      return { tone: '', what: `${who} left`, detail: `${last.node ?? ''} ${last.reason}${after}`.trim() };
    }
    case 'rejected': {
      const from = times === 1 ? ` from ${last.remoteAddress}` : '';
      return { tone: 'warn', what: `${who} turned away`, detail: `${last.reason}${from}` };
    }
    case 'dial-failed': {
      const what = `${last.node} not reached${times === 1 ? '' : ` ${count(times)} times`}`;
      return { tone: 'warn', what, detail: detailOf(last, ['node']) };
    }
    case 'reattached':
      return moveSentence(entry, who);
    default:
      return nodeSentence(last);
  }
}

/**
 * @param {Entry} entry
 * @param {string} who
 * @returns {Sentence}
 */
function moveSentence({ last, count: times, failed, to }, who) {
  const places = [...to]
    .map(([node, moved]) => (times === 1 ? node : `${node} (${count(moved)})`))
    .join(', ');
  const took = times === 1 && typeof last.duration === 'number' ? `, in ${duration(last.duration)}` : '';
  const lost = failed === 0 ? '' : `, ${count(failed)} not moved`;
  const evidence = last.evidence === undefined ? '' : ` (${last.evidence})`;
  const what = to.size === 0 ? `${who} not moved` : `${who} moved to ${places}`;
  const detail = `from ${last.from}: ${last.cause}${evidence}${took}${to.size === 0 ? '' : lost}`;
  return { tone: failed > 0 ? 'bad' : 'good', what, detail };
}

/**
 * @param {BreakwaterEvent} event
 * @returns {Sentence}
 */
function nodeSentence(event) {
  const { type, node } = event;
  const rest = detailOf(event, ['node', 'health', 'cause', 'state']);
  switch (type) {
    case 'node-health': {
      const tone = event.health === 'unhealthy' ? 'bad' : 'good';
      return { tone, what: `${node} is ${event.health}`, detail: String(event.cause ?? '') };
    }
    case 'node-state':
      return { tone: '', what: `${node} is ${event.state}`, detail: rest };
    case 'node-added':
      return { tone: '', what: `${node} was added`, detail: rest };
    case 'node-removed':
      return { tone: 'warn', what: `${node} was removed`, detail: rest };
    case 'node-drained':
      return { tone: 'good', what: `${node} is empty`, detail: 'its last connection has left' };
    case 'drain-progress':
      return { tone: toneOfMoves(event), what: `drain of ${node}: ${event.state}`, detail: rest };
    case 'rebalance-progress':
      return { tone: toneOfMoves(event), what: `rebalance: ${event.state}`, detail: rest };
    case 'proxy-drain-progress':
      return {
        tone: toneOfMoves(event),
        what: `drain of proxy ${event.proxy}: ${event.state}`,
        detail: rest,
      };
    case 'proxy-rebalance-progress':
      return { tone: toneOfMoves(event), what: `rebalance of the proxies: ${event.state}`, detail: rest };
    case 'proxy-lost': {
      const devices = `${event.connections} devices were connected to it`;
      if (event.state === 'back') return { tone: 'good', what: `proxy ${event.peer} is back`, detail: '' };
      return { tone: 'bad', what: `proxy ${event.peer} has vanished`, detail: devices };
    }
    case 'proxy-state':
      return { tone: '', what: `proxy ${event.proxy} is ${event.state}`, detail: rest };
  }
  return clusterSentence(event);
}

/**
 * @param {BreakwaterEvent} event
 * @returns {Sentence}
 */
function clusterSentence(event) {
  const { type, state, cause = '', reason, result } = event;
  switch (type) {
    case 'node-lost': {
      const detail = `${detailOf(event, ['node', 'lost', 'had'])} · ${event.lost} of ${event.had} links ended`;
      return { tone: 'bad', what: `${event.node} is lost`, detail };
    }
    case 'panic': {
      const hasBegun = state === 'began';
      const what = `pool ${event.pool} has ${hasBegun ? 'no' : 'again a'} healthy node`;
      return { tone: hasBegun ? 'bad' : 'good', what, detail: hasBegun ? 'all of its nodes are tried' : '' };
    }
    case 'refusals':
      return {
        tone: 'warn',
        what: `${counted(Number(event.count), 'device')} turned away`,
        detail: `${reason}, in a minute`,
      };
    case 'reload':
      return {
        tone: result === 'ok' ? 'good' : 'bad',
        what: `reload: ${result}`,
        detail: visible(String(cause)),
      };
    case 'certificate': {
      const what = `certificate of ${event.subject}: ${state}`;
      return { tone: state === 'changed' ? '' : 'bad', what, detail: visible(String(cause)) };
    }
    case 'store':
      return {
        tone: state === 'up' ? 'good' : 'bad',
        what: `the store is ${state}`,
        detail: visible(String(cause)),
      };
    case 'thread':
      return {
        tone: state === 'answers' || state === 'lives' ? 'good' : 'bad',
        what: `data thread ${event.thread}: ${state}`,
        detail: visible(String(cause)),
      };
    case 'banned':
    case 'unbanned': {
      const whom = visible(
        String(event.clientId ?? event.username ?? event.clientCn ?? event.source ?? event.ban),
      );
      const detail = detailOf(event, ['ban', 'clientId', 'username', 'clientCn', 'source']);
      if (type === 'banned') return { tone: 'warn', what: `${whom} was banned`, detail };
      return { tone: 'good', what: `${whom} is banned no more`, detail };
    }
    case 'admin':
    case 'admin-denied': {
      const isDone = Number(event.status) < 400;
      const what = `${visible(String(event.by ?? 'somebody'))}: ${event.method} ${visible(String(event.path)).replace('/api/v1/', '')}`;
      const detail = detailOf(event, ['by', 'method', 'path', 'node', 'clientId', 'status']);
      return {
        tone: isDone ? '' : 'warn',
        what,
        detail: isDone ? detail : `${type === 'admin' ? 'failed' : 'not allowed'} · ${detail}`,
      };
    }
  }
  return { tone: '', what: String(type).replaceAll('-', ' '), detail: detailOf(event, []) };
}

/**
 * @param {BreakwaterEvent} event
 * @returns {Sentence['tone']}
 */
function toneOfMoves({ state }) {
  if (state === 'blocked') return 'warn';
  return state === 'done' ? 'good' : '';
}

/**
 * What else the event says.
 * @param {BreakwaterEvent} event
 * @param {readonly string[]} said
 */
function detailOf(event, said) {
  const skipped = ['type', 'at', 'id', 'proxy', ...said];
  return Object.entries(event)
    .filter(([name, value]) => !skipped.includes(name) && value !== undefined && value !== '')
    .map(([name, value]) => `${name} ${visible(String(value))}`)
    .join(' · ');
}
