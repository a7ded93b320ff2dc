// @ts-check
/** The table of connected devices. */

import { act, confirmed, toast } from './actions.js';
import { get, request } from './api.js';
import { byId, fill, find, newRow, setText, syncRows } from './dom.js';
import { ago, number } from './format.js';

/** @import { ClientList, ClientView } from '../backend.ts' */

const SHOWN = 50;
const SEARCH_MS = 200;
const protocols = { 3: '3.1', 4: '3.1.1', 5: '5.0' };

export async function refreshDevices() {
  const match = byId('search').value;
  /** @type {ClientList} */
  const { clients, total } = await get(`/clients?limit=${SHOWN}&match=${encodeURIComponent(match)}`);
  if (match !== byId('search').value) return; // a later search is under way
  const body = find(document, '#clients tbody');
  syncRows(body, clients, nameOfConnection, createRow, (row, client) => {
    const protocol = protocols[client.protocolVersion];
    fill(row, { ...client, protocol, since: ago(client.connectedAt) });
  });
  const found =
    total > clients.length ? `${clients.length} of ${number.format(total)} clients` : `${total} clients`;
  setText(byId('clients-count'), total === 1 ? '1 client' : found);
}

/**
 * Several may have one client id, or none.
 * @param {ClientView} client
 */
function nameOfConnection({ connection, proxy }) {
  return `#${connection}@${proxy}`;
}

/** @param {ClientView} client */
function createRow(client) {
  const { clientId } = client;
  const row = newRow('client-row');
  find(row, '.clip').title = clientId;
  const button = find(row, '[data-do=kick]');
  button.onclick = () =>
    act(button, async () => {
      const text = 'It is disconnected. Most devices come back at once.';
      if (!(await confirmed(`Kick ${clientId || nameOfConnection(client)}?`, text, 'Kick'))) return;
      await request('DELETE', `/clients/${encodeURIComponent(nameOfConnection(client))}`);
    });
  return row;
}

/** Looks for devices a moment after the last key. */
export function watchSearch() {
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  let searching;
  byId('search').oninput = () => {
    clearTimeout(searching);
    searching = setTimeout(() => refreshDevices().catch((error) => toast(error.message)), SEARCH_MS);
  };
}
