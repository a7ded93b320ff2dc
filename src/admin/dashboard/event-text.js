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
  }
  const words = String(type).replaceAll('-', ' ');
  return {
    tone: '',
    what: node === undefined ? words : `${words}: ${node}`,
    detail: detailOf(event, ['node']),
  };
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
  const skipped = ['type', 'at', 'id', ...said];
  return Object.entries(event)
    .filter(([name, value]) => !skipped.includes(name) && value !== undefined && value !== '')
    .map(([name, value]) => `${name} ${visible(String(value))}`)
    .join(' · ');
}
