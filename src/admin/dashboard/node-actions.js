// @ts-check
/** What can be done with nodes and with the cluster, each with its question. */

import { may } from './abilities.js';
import { get, request } from './api.js';
import { ask, button, toast } from './dialogs.js';
import { h } from './dom.js';
import { counted } from './format.js';

/** @import { ConfigCheck, NodeView, PoolView, ReloadView } from '../backend.ts' */

/** @param {string} id */
export function nodePath(id) {
  return `/nodes/${encodeURIComponent(id)}`;
}

/** @type {import('./dialogs.js').Field} */
const rateField = {
  ...{ name: 'rate', label: 'Sessions a second', type: 'number', min: 0.1, max: 100_000, step: 'any' },
  hint: 'Over all proxies. Empty: as it is configured.',
};

/** @param {Readonly<Record<string, string>>} values */
function numbersOf(values) {
  const given = Object.entries(values).filter(([, value]) => value !== '');
  return Object.fromEntries(given.map(([name, value]) => [name, Number(value)]));
}

/** @param {NodeView} node */
export function askDrain({ id, connections }) {
  ask({
    title: `Drain ${id}?`,
    text: `It gets no new connection, and its ${counted(connections, 'device')} move to other nodes and stay connected.`,
    yes: 'Drain',
    fields: [rateField],
    run: (values) => request('POST', `${nodePath(id)}/drain`, numbersOf(values)),
  });
}

/** @param {NodeView} node */
export function askDisable({ id }) {
  ask({
    title: `Disable ${id}?`,
    text: 'It gets no new device until it is enabled again. Devices that are there stay.',
    yes: 'Disable',
    isDangerous: true,
    run: () => request('PATCH', nodePath(id), { state: 'disabled' }),
  });
}

/**
 * @param {NodeView} node
 * @param {() => void} onRemoved
 */
export function askRemove({ id, connections }, onRemoved) {
  ask({
    title: `Remove ${id}?`,
    text: `It leaves the cluster for good; its ${counted(connections, 'device')} move to other nodes. Drain it first to let them move in peace.`,
    yes: 'Remove',
    isDangerous: true,
    run: async () => {
      await request('DELETE', nodePath(id));
      onRemoved();
    },
    done: `${id} was removed`,
  });
}

/** @param {NodeView} node */
export function askLimits({ id, weight, maxConnections }) {
  ask({
    title: `Weight and limit of ${id}`,
    text: 'They hold for new devices, on all proxies.',
    yes: 'Save',
    fields: [
      {
        ...{
          name: 'weight',
          label: 'Weight',
          type: 'number',
          required: true,
          min: 1,
          max: 100,
          value: weight,
        },
        hint: '1 to 100: its share of new devices, beside the other nodes of its pool.',
      },
      {
        ...{ name: 'maxConnections', label: 'Most connections', type: 'number', required: true, min: 0 },
        ...{ value: maxConnections ?? 0, hint: 'Of all proxies together. 0: no limit.' },
      },
    ],
    run: (values) => request('PATCH', nodePath(id), numbersOf(values)),
  });
}

/** @param {string} id */
export function enable(id) {
  return request('PATCH', nodePath(id), { state: 'enabled' });
}

async function askAdd() {
  /** @type {PoolView[]} */
  const pools = await get('/pools');
  ask({
    title: 'Add a node',
    text: 'All proxies send devices there as soon as it is healthy.',
    yes: 'Add',
    fields: [
      { name: 'url', label: 'Address', required: true, hint: 'mqtt://host:1883, or mqtts:// for TLS' },
      { name: 'id', label: 'Id', hint: 'Empty: host and port of the address.' },
      { name: 'pool', label: 'Pool', options: pools.map(({ name }) => ({ value: name, label: name })) },
      { name: 'weight', label: 'Weight', type: 'number', min: 1, max: 100, hint: '1 to 100. Empty: 10.' },
    ],
    run: ({ url, id, pool, weight }) =>
      request('POST', '/nodes', {
        ...{ url, pool },
        ...(id !== '' && { id }),
        ...(weight !== '' && { weight: Number(weight) }),
      }),
    done: 'the node was added',
  });
}

async function askRebalance() {
  /** @type {PoolView[]} */
  const pools = await get('/pools');
  ask({
    title: 'Rebalance?',
    text: 'Just enough sessions move from the fullest nodes to the emptiest. Their devices stay connected.',
    yes: 'Rebalance',
    fields: [
      {
        ...{ name: 'pool', label: 'Pool' },
        options: [
          { value: '', label: 'all pools' },
          ...pools.map(({ name }) => ({ value: name, label: name })),
        ],
      },
      rateField,
    ],
    run: ({ pool = '', ...values }) =>
      request('POST', '/rebalance', { ...(pool !== '' && { pool }), ...numbersOf(values) }),
  });
}

/** @param {Pick<ReloadView, 'listeners' | 'pools' | 'settings'>} changes */
function namesOf({ listeners, pools, settings }) {
  const names = [listeners, pools].flatMap(({ added, removed, changed }) => [
    ...added,
    ...removed,
    ...changed,
  ]);
  return [...names, ...settings];
}

async function askReload() {
  const { valid, problems, warnings, ...changes } = await checked();
  if (!valid) return tellProblems(problems, warnings);
  const names = namesOf(changes);
  const found =
    names.length === 0
      ? 'Nothing of it has changed; files of TLS may have.'
      : `It changes ${names.join(', ')}.`;
  ask({
    title: 'Reload the configuration?',
    text: 'This proxy reads its file again and applies what changed. Nobody is dropped whose listener remains.',
    lines: [found, ...warnings],
    yes: 'Reload',
    run: async () => {
      /** @type {ReloadView} */
      const done = await (await request('POST', '/reload')).json();
      const parts = [...namesOf(done), ...done.certificates];
      toast(parts.length === 0 ? 'nothing has changed' : `applied: ${parts.join(', ')}`, 'good');
    },
  });
}

/** @returns {Promise<ConfigCheck>} */
function checked() {
  return get('/check');
}

/**
 * @param {readonly string[]} problems
 * @param {readonly string[]} warnings
 */
function tellProblems(problems, warnings) {
  ask({
    title: 'The configuration is wrong',
    text: 'A reload would change nothing. Mend the file of this proxy:',
    lines: [...problems, ...warnings],
    yes: 'Check again',
    run: async () => {
      const again = await checked();
      if (!again.valid) throw new Error(again.problems.join('; '));
      toast('the configuration is in order', 'good');
    },
  });
}

async function check() {
  const { valid, problems, warnings } = await checked();
  if (!valid) return tellProblems(problems, warnings);
  if (warnings.length === 0) return toast('the configuration is in order', 'good');
  ask({
    title: 'The configuration can be used',
    text: 'But this can hardly be meant:',
    lines: warnings,
    yes: 'Good',
    run: async () => {},
  });
}

/** The buttons of the head, as far as this person may use them. */
export function clusterButtons() {
  const all = /** @type {const} */ ([
    ['add', 'Add node', askAdd],
    ['rebalance', 'Rebalance', askRebalance],
    ['reload', 'Reload', askReload],
    ['check', 'Check', check],
  ]);
  const offered = all.filter(([action]) => may(action)).map(([, label, run]) => button(label, run));
  return h('div', { class: 'buttons-row' }, ...offered);
}
