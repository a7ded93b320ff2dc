// @ts-check
/** What has happened, kept by kind, so that a storm of one kind hides no other; and events that are alike as one. Pure. */

/** @import { BreakwaterEvent } from '../backend.ts' */

/** @typedef {'node' | 'move' | 'device' | 'refusal' | 'change'} Group */

/** @type {Readonly<Record<string, Group>>} */
const groups = {
  ...{ 'node-health': 'node', 'node-lost': 'node', 'node-state': 'node', 'node-added': 'node' },
  ...{ 'node-removed': 'node', 'node-drained': 'node', panic: 'node' },
  ...{ 'drain-progress': 'node', 'rebalance-progress': 'node' },
  ...{
    'proxy-state': 'change',
    'proxy-lost': 'node',
    'proxy-drain-progress': 'node',
    'proxy-rebalance-progress': 'node',
  },
  ...{ reattached: 'move', placed: 'device', ended: 'device' },
  ...{ rejected: 'refusal', refusals: 'refusal', 'dial-failed': 'refusal' },
  ...{ reload: 'change', certificate: 'change', store: 'change', thread: 'change' },
  ...{ banned: 'change', unbanned: 'change' },
  ...{ admin: 'change', 'admin-denied': 'change' },
};

/** The kinds of the API that each group holds; incidents are shown apart. @type {Readonly<Record<Group, string>>} */
export const kindsOf = {
  node: 'node,progress',
  move: 'move',
  device: 'device',
  refusal: 'refusal,refusals,dial',
  change: 'proxy,reload,certificate,store,thread,ban,audit,denied',
};

/** @type {readonly Group[]} */
export const groupNames = ['node', 'move', 'device', 'refusal', 'change'];

/** @param {BreakwaterEvent} event */
export function groupOf({ type }) {
  return groups[type] ?? 'change';
}

/** Entries of each kind. */
const KEPT = 100;
/** Of each kind where all are shown together. */
const KEPT_TOGETHER = 40;
/** Device names that one entry holds. */
const NAMES = 50;
/** What is alike and follows so soon is one entry. */
const FOLD_MS = 3000;

/**
 * One entry: the newest event, and how many there were since the first.
 * @typedef {{
 *   readonly number: number, readonly group: Group, readonly first: string,
 *   last: BreakwaterEvent, count: number, failed: number, names: string[], to: Map<string, number>,
 * }} Entry
 */

/**
 * By what events are alike: those of one node for one reason. Empty: each stands for itself.
 * @param {BreakwaterEvent} event
 */
function likenessOf({ type, node = '', proxy = '', from = '', cause = '', reason = '', failure = '' }) {
  switch (type) {
    case 'placed':
      return `placed ${node}`;
    case 'ended':
      return `ended ${node} ${reason}`;
    case 'rejected':
      return `rejected ${reason}`;
    case 'reattached':
      return `reattached ${from} ${cause}`;
    case 'dial-failed':
      return `dial-failed ${node} ${failure}`;
    case 'drain-progress':
      return `drain-progress ${node}`;
    case 'proxy-drain-progress':
      return `proxy-drain-progress ${proxy}`;
    case 'rebalance-progress':
    case 'proxy-rebalance-progress':
    case 'admin-denied':
      return type;
    default:
      return '';
  }
}

export class EventLog {
  #number = 0;
  /** Newest last. @type {Map<Group, Entry[]>} */
  #entries = new Map(groupNames.map((group) => [group, []]));

  /** @param {BreakwaterEvent} event */
  add(event) {
    const group = groupOf(event);
    const entries = this.#entries.get(group) ?? [];
    const likeness = likenessOf(event);
    const at = Date.parse(event.at);
    const open = entries.findLast(
      ({ last }) => likeness !== '' && likenessOf(last) === likeness && at - Date.parse(last.at) <= FOLD_MS,
    );
    const entry = open ?? this.#begin(entries, group, event);
    entry.last = event;
    entry.count += 1;
    if (event.result === 'failed') entry.failed += 1;
    if (typeof event.to === 'string') entry.to.set(event.to, (entry.to.get(event.to) ?? 0) + 1);
    if (typeof event.clientId === 'string' && entry.names.length < NAMES) entry.names.push(event.clientId);
  }

  /**
   * @param {Entry[]} entries
   * @param {Group} group
   * @param {BreakwaterEvent} event
   * @returns {Entry}
   */
  #begin(entries, group, event) {
    if (entries.length >= KEPT) entries.shift();
    const nothing = { count: 0, failed: 0, names: [], to: new Map() };
    const entry = { number: ++this.#number, group, first: event.at, last: event, ...nothing };
    entries.push(entry);
    return entry;
  }

  /**
   * Newest first.
   * @param {Group | ''} group empty: all kinds together
   * @returns {Entry[]}
   */
  list(group) {
    if (group !== '') return (this.#entries.get(group) ?? []).toReversed();
    const all = [...this.#entries.values()].flatMap((entries) => entries.slice(-KEPT_TOGETHER));
    return all.toSorted((a, b) => Date.parse(b.last.at) - Date.parse(a.last.at) || b.number - a.number);
  }

  /** How many entries a kind has. @param {Group} group */
  count(group) {
    return this.#entries.get(group)?.length ?? 0;
  }
}
