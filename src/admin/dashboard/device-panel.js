// @ts-check
/** All that is known of one device, and what can be done with it. */

import { may } from './abilities.js';
import { get, getIfThere, request } from './api.js';
import { nameOfConnection, protocols } from './devices.js';
import { ask, button } from './dialogs.js';
import { h, setClass, setText } from './dom.js';
import { ago, clientName, clockTime, duration, messageOf, natural, size, visible } from './format.js';
import { closePanel, facts } from './places.js';

/** @import { ClientDetail, NodeView, ReattachmentView, SessionView } from '../backend.ts' */
/** @import { Panel } from './places.js' */

/**
 * @param {string} asked a client id, or `#17@edge-1`
 * @returns {Panel}
 */
export function devicePanel(asked) {
  const path = `/clients/${encodeURIComponent(asked)}`;
  const name = h('p', { class: 'big' });
  const life = h('p', { class: 'muted' });
  const buttons = h('div', { class: 'buttons-row' });
  const parts = h('div', { class: 'panel-parts' });
  const body = h('div', { class: 'panel-parts' }, h('div', {}, name, life), buttons, parts);

  /** @param {ClientDetail} client @param {readonly HistoryEntry[]} history */
  function show(client, history) {
    setText(name, clientName(client.clientId));
    setClass(name, 'big');
    setText(life, `at ${client.node}, connected for ${ago(client.connectedAt)}`);
    if (buttons.childElementCount === 0) buttons.append(...actionsOf(client, path));
    parts.replaceChildren(...sectionsOf(client), ...historySection(history));
  }

  /** @param {readonly HistoryEntry[]} history */
  function showGone(history) {
    setText(name, clientName(asked));
    setText(life, 'It is not connected.');
    buttons.replaceChildren();
    parts.replaceChildren(...historySection(history));
  }

  return {
    title: 'Device',
    body,
    async refresh() {
      try {
        /** @type {ClientDetail | undefined} */
        const client = await getIfThere(path);
        if (client === undefined) showGone(await historyOf(asked));
        else show(client, await historyOf(client.clientId));
      } catch (error) {
        setText(name, messageOf(error));
        setClass(name, 'big bad');
        buttons.replaceChildren();
      }
    },
  };
}

/** @param {ClientDetail} client @param {string} path */
function actionsOf(client, path) {
  const title = clientName(client.clientId);
  const move = async () => {
    /** @type {NodeView[]} */
    const nodes = await get('/nodes');
    const others = nodes.filter(({ id, state }) => id !== client.node && state === 'enabled');
    ask({
      title: `Move ${title}?`,
      text: 'Its session goes to another node. The device stays connected.',
      yes: 'Move',
      fields: [
        {
          ...{ name: 'node', label: 'To' },
          options: others
            .toSorted((a, b) => natural(a.id, b.id))
            .map(({ id, health }) => ({ value: id, label: `${id} (${health})` })),
        },
      ],
      run: ({ node = '' }) => request('POST', `${path}/move`, { node }),
    });
  };
  const kick = () =>
    ask({
      title: `Kick ${title}?`,
      text: 'It is disconnected. Most devices come back at once.',
      yes: 'Kick',
      isDangerous: true,
      run: async () => {
        await request('DELETE', path);
        closePanel();
      },
    });
  const isMovable = client.session !== undefined;
  return [
    ...(may('move') && isMovable ? [button('Move', move)] : []),
    ...(may('kick') ? [button('Kick', kick, 'quiet-danger')] : []),
  ];
}

/** @param {ClientDetail} client */
function sectionsOf(client) {
  const { session, tls, keepAlive } = client;
  const sections = [
    section(
      'Connection',
      facts({
        ...{ Node: client.node, Proxy: client.proxy, Listener: client.listener, From: client.remoteAddress },
        Protocol: `MQTT ${protocols[client.protocolVersion]}`,
        'Keep alive': keepAlive === 0 ? 'off' : `${keepAlive} s`,
        Mode: client.mode,
        Connected: clockTime(client.connectedAt),
        Number: nameOfConnection(client),
        ...(tls && {
          TLS: `${tls.version}, ${tls.cipher}`,
          'Asked for': tls.sni && visible(tls.sni),
          Certificate: tls.clientCn && visible(tls.clientCn),
        }),
      }),
    ),
  ];
  if (session === undefined) {
    const why = 'Relayed: what it says is passed on unread, so that it cannot be moved.';
    return [...sections, section('Session', h('p', { class: 'muted' }, why))];
  }
  return [...sections, sessionSection(session), section('Moves', movesOf(session.history))];
}

/** @param {SessionView} session */
function sessionSection({
  subscriptions,
  inflightFromDevice,
  inflightToDevice,
  rememberedBytes,
  served,
  immovable,
}) {
  return section(
    'Session',
    facts({
      Served: served ? 'yes' : 'no: another node is sought',
      Subscriptions: subscriptions,
      'In flight from the device': inflightFromDevice,
      'In flight to the device': inflightToDevice,
      Remembered: size(rememberedBytes),
      'Cannot be moved': immovable,
    }),
  );
}

/** @param {readonly ReattachmentView[]} history */
function movesOf(history) {
  if (history.length === 0) return h('p', { class: 'muted' }, 'It has never moved.');
  const rows = history
    .toReversed()
    .map(({ at, cause, evidence, from, to, duration: took, sessionPresent }) => {
      const why = evidence === undefined ? cause : `${cause} (${evidence})`;
      const state = sessionPresent ? 'with its session there' : 'restored';
      const where = to === undefined ? `${from}: no node took it` : `${from} → ${to}`;
      const detail = `${why}, in ${duration(took)}${to === undefined ? '' : `, ${state}`}`;
      return h(
        'li',
        {},
        h('time', {}, clockTime(at)),
        h('div', {}, h('strong', {}, where), ' ', h('small', {}, detail)),
      );
    });
  return h('ol', { class: 'log' }, ...rows);
}

/**
 * One thing that happened to the device, as the journal tells it.
 * @typedef {{ readonly at: string, readonly what: string, readonly [detail: string]: unknown }} HistoryEntry
 */

/**
 * @param {string} clientId
 * @returns {Promise<readonly HistoryEntry[]>}
 */
async function historyOf(clientId) {
  if (clientId === '' || !may('history')) return [];
  const said = await getIfThere(`/clients/${encodeURIComponent(clientId)}/history`);
  return Array.isArray(said) ? said : (said?.entries ?? []);
}

/** @param {readonly HistoryEntry[]} history */
function historySection(history) {
  if (history.length === 0) return [];
  const rows = history.toReversed().map(({ at, what, ...rest }) => {
    const details = Object.entries(rest)
      .filter(([, value]) => value !== undefined && value !== '')
      .map(([key, value]) => `${key} ${visible(String(value))}`);
    const text = h('div', {}, h('strong', {}, what), ' ', h('small', {}, details.join(' · ')));
    return h('li', {}, h('time', {}, clockTime(at)), text);
  });
  return [section('What happened to it', h('ol', { class: 'log' }, ...rows))];
}

/** @param {string} title @param {Node[]} children */
function section(title, ...children) {
  return h('section', {}, h('h3', {}, title), ...children);
}
