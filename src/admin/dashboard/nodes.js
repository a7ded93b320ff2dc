// @ts-check
/** The table of nodes. */

import { act, confirmed } from './actions.js';
import { get, request } from './api.js';
import { byId, fill, find, newRow, syncRows } from './dom.js';
import { number } from './format.js';

/** @import { DrainView, NodeView } from '../backend.ts' */

const tones = {
  healthy: 'good',
  unhealthy: 'bad',
  unknown: 'muted',
  enabled: '',
  draining: 'warn',
  disabled: 'muted',
};

/** How far each node that drains has come, by id; over all proxies. @type {Map<string, DrainView>} */
const drains = new Map();

export async function refreshNodes() {
  /** @type {NodeView[]} */
  const nodes = await get('/nodes');
  await refreshDrains(nodes);
  showNodes(nodes);
}

/** @param {readonly NodeView[]} nodes */
function showNodes(nodes) {
  byId('no-nodes').hidden = nodes.length > 0;
  // A node that a person disabled may well be down: that is no alarm.
  const alarm = nodes.some((node) => node.health === 'unhealthy' && node.state !== 'disabled');
  byId('healthy').classList.toggle('bad', alarm);
  const most = Math.max(1, ...nodes.map((node) => node.connections));
  const body = find(document, '#nodes tbody');
  syncRows(
    body,
    nodes,
    (node) => node.id,
    createNodeRow,
    (row, node) => {
      fill(row, { ...node, connections: number.format(node.connections), drain: drainText(node) });
      find(row, '.dot').className = `dot ${tones[node.health]}`;
      find(row, '.badge').className = `badge ${tones[node.state]}`;
      find(row, '.meter-fill').style.width = `${(node.connections / most) * 100}%`;
      const weight = find(row, '.weight');
      if (document.activeElement !== weight) weight.value = node.weight;
      find(row, '[data-do=enable]').hidden = node.state === 'enabled';
      find(row, '[data-do=drain]').hidden = node.state !== 'enabled';
      find(row, '[data-do=disable]').hidden = node.state === 'disabled';
    },
  );
}

/** @param {readonly NodeView[]} nodes */
async function refreshDrains(nodes) {
  const draining = nodes.filter((node) => node.state === 'draining').map((node) => node.id);
  for (const id of drains.keys()) if (!draining.includes(id)) drains.delete(id);
  await Promise.all(
    draining.map(async (id) => {
      // A node may be removed in between; then there is nothing to tell.
      const drain = await get(`/nodes/${encodeURIComponent(id)}/drain`).catch(() => undefined);
      if (drain !== undefined) drains.set(id, drain);
    }),
  );
}

/** @param {NodeView} node */
function drainText({ id, state }) {
  const drain = drains.get(id);
  if (state !== 'draining' || drain === undefined) return '';
  if (drain.state === 'done') return 'empty';
  const ahead = drain.timeLeft === undefined ? '' : `, ${Math.ceil(drain.timeLeft)} s to go`;
  const stays = drain.stays > 0 ? `, ${number.format(drain.stays)} stay` : '';
  return `${number.format(drain.moved)} moved, ${number.format(drain.left)} left${stays}${ahead}`;
}

/** @param {NodeView} node */
function createNodeRow({ id }) {
  const row = newRow('node-row');
  const path = `/nodes/${encodeURIComponent(id)}`;
  const patch = (/** @type {object} */ change) => request('PATCH', path, change);
  const on = (/** @type {string} */ name, /** @type {() => Promise<unknown>} */ action) => {
    const button = find(row, `[data-do=${name}]`);
    button.onclick = () => act(button, action);
  };
  on('enable', () => patch({ state: 'enabled' }));
  on('drain', async () => {
    const text = 'It gets no new connection, and its sessions move to other nodes.';
    if (await confirmed(`Drain ${id}?`, text, 'Drain')) await request('POST', `${path}/drain`);
  });
  on('disable', async () => {
    const text = 'It gets no connection until it is enabled again.';
    if (await confirmed(`Disable ${id}?`, text, 'Disable')) await patch({ state: 'disabled' });
  });
  const weight = find(row, '.weight');
  weight.setAttribute('aria-label', `Weight of ${id}`);
  weight.onchange = () => act(weight, () => patch({ weight: weight.valueAsNumber }));
  return row;
}
