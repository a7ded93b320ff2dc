// @ts-check
/** The life of the page: it asks every two seconds, and at once when something happened. */

import { learnAbilities } from './abilities.js';
import { get } from './api.js';
import { createBans } from './bans.js';
import { devicePanel } from './device-panel.js';
import { createDevices, offerNodes, refreshDevices } from './devices.js';
import { byId } from './dom.js';
import { watchEvents } from './events.js';
import { messageOf } from './format.js';
import { createIncidents } from './incidents.js';
import { clusterButtons } from './node-actions.js';
import { nodePanel } from './node-panel.js';
import { createNodes, noteNodes, refreshDrains } from './nodes.js';
import { refreshPanel, watchPlaces } from './places.js';
import { createProxies } from './proxies.js';
import { refreshRebalance } from './rebalance.js';
import { createStatus, showUnreachable } from './status.js';

const POLL_MS = 2000;
/** Something happened: the page need not wait for the next poll, but several changes are shown together. */
const SOON_MS = 150;

const showStatus = createStatus();
const showNodes = createNodes();
const showProxies = createProxies();
const refreshIncidents = createIncidents();
const refreshBans = createBans();

/** @param {boolean} force also what is asked for less often */
async function refresh(force) {
  const [status, nodes, proxies] = await Promise.all([get('/status'), get('/nodes'), get('/proxies')]);
  noteNodes(nodes);
  offerNodes(nodes);
  const show = () => {
    showStatus(status, nodes, proxies);
    showNodes(nodes);
    showProxies(proxies, status.proxy.id);
  };
  show();
  byId('main').removeAttribute('aria-busy');
  // What one of these cannot tell keeps nobody from the rest; each tells by itself why.
  const parts = [
    refreshRebalance(),
    refreshDevices(force),
    refreshPanel(),
    refreshIncidents(force),
    refreshBans(force),
  ];
  await Promise.allSettled([refreshDrains(nodes).then(show), ...parts]);
}

/** One at a time; what is asked for meanwhile is done behind it. @type {Promise<void> | undefined} */
let running;

/** @param {boolean} force */
async function refreshInTurn(force) {
  while (running !== undefined) await running;
  running = refresh(force).catch((error) => showUnreachable(messageOf(error)));
  await running;
  running = undefined;
}

/** @type {ReturnType<typeof setTimeout> | undefined} */
let sooner;
function soon() {
  if (sooner !== undefined) return;
  sooner = setTimeout(() => {
    sooner = undefined;
    void refreshInTurn(true);
  }, SOON_MS);
}

async function poll() {
  if (!document.hidden) await refreshInTurn(false);
  setTimeout(poll, POLL_MS);
}

async function start() {
  for (;;) {
    try {
      await learnAbilities();
      break;
    } catch (error) {
      showUnreachable(messageOf(error));
      await new Promise((resolve) => setTimeout(resolve, POLL_MS));
    }
  }
  byId('cluster-actions').append(clusterButtons());
  createDevices();
  watchPlaces({ node: nodePanel, device: devicePanel }, soon);
  document.addEventListener('breakwater-changed', soon);
  document.addEventListener('visibilitychange', soon);
  void poll();
  await watchEvents(soon);
}

void start();
