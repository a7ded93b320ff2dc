// @ts-check
/** All that is known of one node, and all that can be done with it. */

import { may } from './abilities.js';
import { get } from './api.js';
import { fairShares } from './attention.js';
import { probeStrip, ShareBar, Trend } from './charts.js';
import { searchDevices } from './devices.js';
import { button } from './dialogs.js';
import { h, setClass, setText } from './dom.js';
import { messageOf } from './format.js';
import { askDisable, askDrain, askLimits, askRemove, enable, nodePath } from './node-actions.js';
import { causeOf, ratesOf, showDrain, sinceOf, tones } from './nodes.js';
import { closePanel, facts } from './places.js';

/** @import { NodeDetail, NodeView } from '../backend.ts' */
/** @import { Panel } from './places.js' */

/**
 * @param {string} id
 * @returns {Panel}
 */
export function nodePanel(id) {
  const health = h('p', { class: 'big' });
  const cause = h('p', { class: 'muted' });
  const drain = h('div', { class: 'drain' });
  const buttons = h('div', { class: 'buttons-row' });
  const bar = new ShareBar();
  const connects = new Trend('Connects a second, last two minutes');
  const messages = new Trend('Messages a second, last two minutes');
  const probes = h('div');
  const more = h('div');
  const section = (/** @type {string} */ title, /** @type {Node[]} */ ...children) =>
    h('section', {}, h('h3', {}, title), ...children);
  const body = h(
    'div',
    { class: 'panel-parts' },
    h('div', {}, health, cause, drain),
    buttons,
    section('Connections', bar.element),
    section('Connects a second, by this proxy', h('div', { class: 'panel-spark' }, connects.element)),
    section(
      'Messages a second in session mode, by this proxy',
      h('div', { class: 'panel-spark' }, messages.element),
    ),
    section('Probes by this proxy', probes),
    section('More', more),
  );

  /** @param {NodeDetail} node @param {readonly NodeView[]} nodes */
  function show(node, nodes) {
    setText(health, `${node.health}, ${node.state}`);
    setClass(health, `big dot ${tones[node.health]}`);
    setText(cause, [causeOf(node), sinceOf(node)].filter((part) => part !== '').join(', '));
    showDrain(drain, node);
    showButtons(buttons, node);
    const fair = fairShares(nodes).get(id) ?? 0;
    bar.draw(node.connections, fair, Math.max(1, node.connections, fair) * 1.05);
    connects.draw(ratesOf(id)?.connects);
    messages.draw(ratesOf(id)?.messages);
    probes.replaceChildren(probeStrip(node.probes));
    const {
      pool,
      url,
      address = 'does not resolve',
      probeUrl,
      weight,
      maxConnections = 'no limit',
      source,
    } = node;
    const limits = { Weight: weight, 'Most connections': maxConnections };
    more.replaceChildren(
      facts({
        Pool: pool,
        Address: url,
        'Dialled at': address,
        'Probed at': probeUrl,
        ...limits,
        'Known from': source,
      }),
    );
  }

  return {
    title: id,
    body,
    async refresh() {
      try {
        const [node, nodes] = await Promise.all([get(nodePath(id)), get('/nodes')]);
        show(node, nodes);
      } catch (error) {
        setText(health, messageOf(error));
        setClass(health, 'big bad');
        buttons.replaceChildren();
      }
    },
  };
}

/**
 * The buttons are made anew only where others are due, so that focus stays.
 * @param {HTMLElement} place
 * @param {NodeDetail} node
 */
function showButtons(place, node) {
  const { id, state } = node;
  if (place.dataset.state === state) return;
  place.dataset.state = state;
  /** Asks about the node as it is now. @param {(node: NodeView) => void} question */
  const asked = (question) => async () => question(await get(nodePath(id)));
  const all = [
    state !== 'enabled' && may('change') && button('Enable', () => enable(id)),
    state === 'enabled' && may('drain') && button('Drain', asked(askDrain)),
    state !== 'disabled' && may('change') && button('Disable', asked(askDisable)),
    may('change') && button('Weight and limit', asked(askLimits)),
    may('remove') &&
      button(
        'Remove',
        asked((now) => askRemove(now, closePanel)),
        'quiet-danger',
      ),
    button('Its devices', () => searchDevices('', id)),
  ];
  place.replaceChildren(...all.filter((one) => one !== false));
}
