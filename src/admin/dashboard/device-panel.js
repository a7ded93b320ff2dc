// @ts-check
/** All that is known of one device, and what can be done with it. */

import { may } from './abilities.js';
import { get, getIfThere, request } from './api.js';
import { askBan } from './bans.js';
import { nameOfConnection, protocols } from './devices.js';
import { ask, button } from './dialogs.js';
import { h, setClass, setText } from './dom.js';
import { ago, clientName, clockTime, duration, messageOf, natural, size, visible } from './format.js';
import { closePanel, facts } from './places.js';
import { createTrace } from './trace.js';

/** @import { ClientDetail, NodeView, ReattachmentView, SessionView } from '../backend.ts' */
/** @import { ClientHistory, HistoryEntry } from '../journal-views.ts' */
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
  const trace = createTrace(`${path}/trace`);
  const body = h('div', { class: 'panel-parts' }, h('div', {}, name, life), buttons, trace.body, parts);

  /** @param {ClientDetail} client @param {readonly HistoryEntry[]} history */
  function show(client, history) {
    setText(name, clientName(client.clientId));
    setClass(name, 'big');
    setText(life, `at ${client.node}, connected for ${ago(client.connectedAt)}`);
    if (buttons.childElementCount === 0) {
      const isTraced = client.session !== undefined && may('trace');
      buttons.append(...actionsOf(client, path), ...(isTraced ? [trace.toggle] : []));
    }
    parts.replaceChildren(...sectionsOf(client, history), ...historySection(history));
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
    close: trace.stop,
    async refresh() {
      try {
        /** @type {ClientDetail | undefined} */
        const client = await getIfThere(path);
        if (client === undefined) showGone(await historyOf(asked));
        else show(client, await historyOf(client.clientId || asked));
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
    ...(may('ban') && client.clientId !== ''
      ? [button('Ban', () => askBan(client.clientId), 'quiet-danger')]
      : []),
  ];
}

/** @param {ClientDetail} client @param {readonly HistoryEntry[]} history */
function sectionsOf(client, history) {
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
  // The history tells moves too.
  const moves = history.length > 0 ? [] : [section('Moves', movesOf(session.history))];
  return [...sections, sessionSection(session), ...moves];
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
 * @param {string} asked
 * @returns {Promise<readonly HistoryEntry[]>}
 */
async function historyOf(asked) {
  if (!may('history')) return [];
  /** @type {ClientHistory | undefined} */
  const history = await getIfThere(`/clients/${encodeURIComponent(asked)}/history`);
  return history?.entries ?? [];
}

/** @param {readonly HistoryEntry[]} history */
function historySection(history) {
  if (history.length === 0) return [];
  const rows = history.toReversed().map((entry) => {
    const [tone, what, detail] = lineOf(entry);
    const text = h('div', {}, h('strong', { class: tone }, what), ' ', h('small', {}, visible(detail)));
    return h('li', {}, h('time', {}, clockTime(entry.at)), text);
  });
  return [section('What happened to it', h('ol', { class: 'log' }, ...rows))];
}

/**
 * @param {HistoryEntry} entry
 * @returns {[tone: string, what: string, detail: string]}
 */
function lineOf({ what, proxy, node, from, cause, evidence, reason = '', ...rest }) {
  const why = evidence === undefined ? cause : `${cause} (${evidence})`;
  const took = rest.duration === undefined ? '' : `, in ${duration(rest.duration)}`;
  switch (what) {
    case 'connected':
      return ['good', `connected to ${node}`, `by ${proxy}, from ${rest.remoteAddress}`];
    case 'moved': {
      const state = rest.sessionPresent ? 'with its session there' : 'restored';
      return ['good', `${from} → ${node}`, `${why}${took}, ${state}`];
    }
    case 'not-moved':
      return ['bad', `not moved from ${from}`, `${why}: no node took it`];
    case 'refused':
      return ['warn', 'turned away', `${reason}, by ${proxy}, from ${rest.remoteAddress}`];
    case 'ended': {
      const after = rest.duration === undefined ? '' : ` after ${duration(rest.duration)}`;
      const bytes = `${size(rest.bytesFromDevice ?? 0)} from it, ${size(rest.bytesToDevice ?? 0)} to it`;
      return ['', `left ${node ?? ''}`, `${reason}${after}, ${bytes}`];
    }
  }
}

/** @param {string} title @param {Node[]} children */
function section(title, ...children) {
  return h('section', {}, h('h3', {}, title), ...children);
}
