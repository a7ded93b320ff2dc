// @ts-check
/** The life of the page: it asks every two seconds, and at once when something happened. */

import { get } from './api.js';
import { refreshDevices, watchSearch } from './devices.js';
import { watchEvents } from './events.js';
import { refreshNodes } from './nodes.js';
import { showReady, showStatus } from './status.js';

const POLL_MS = 2000;
/** A node changed: its table need not wait for the next poll, but several changes are shown together. */
const SOON_MS = 100;

async function refresh() {
  const [status] = await Promise.all([get('/status'), refreshNodes(), refreshDevices()]);
  showStatus(status);
}

/** @type {ReturnType<typeof setTimeout> | undefined} */
let sooner;
function soon() {
  if (sooner !== undefined) return;
  sooner = setTimeout(() => {
    sooner = undefined;
    refresh().catch(() => {});
  }, SOON_MS);
}

async function poll() {
  try {
    if (!document.hidden) await refresh();
  } catch (error) {
    showReady('not reachable', 'bad', error instanceof Error ? error.message : String(error));
  }
  setTimeout(poll, POLL_MS);
}

document.addEventListener('breakwater-changed', soon);
watchSearch();
poll();
watchEvents(soon);
