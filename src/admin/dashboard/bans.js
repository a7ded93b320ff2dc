// @ts-check
/** Devices and networks that are refused, and what can be done about it. */

import { may } from './abilities.js';
import { get, request } from './api.js';
import { ask, button } from './dialogs.js';
import { byId, h, KeyedList, setText } from './dom.js';
import { ago, duration, messageOf, visible } from './format.js';

/** @import { BanCriterion, BanView } from '../backend.ts' */
/** @import { Row } from './dom.js' */

/** The newest; the command line lists all. */
const SHOWN = 50;
/** An event tells when one is made. */
const REFRESH_MS = 6000;

/** @type {Readonly<Record<keyof BanCriterion, string>>} */
const labels = {
  clientId: 'client id',
  username: 'username',
  clientCn: 'client CN',
  source: 'source',
};

/** @returns {(force: boolean) => Promise<void>} shows what the proxies know now */
export function createBans() {
  const list = new KeyedList(byId('bans'), (/** @type {BanView} */ { id }) => id, createRow);
  let askedAt = Number.NEGATIVE_INFINITY;
  return async (force) => {
    byId('bans-card').hidden = !may('bans');
    if (!may('bans') || (!force && performance.now() - askedAt < REFRESH_MS)) return;
    if (may('ban') && byId('bans-actions').childElementCount === 0)
      byId('bans-actions').append(button('Ban', () => askBan()));
    askedAt = performance.now();
    try {
      /** @type {readonly BanView[]} */
      const bans = await get('/bans');
      list.show(bans.slice(0, SHOWN));
      const rest = bans.length - SHOWN;
      setText(byId('bans-note'), rest > 0 ? `and ${rest} more, in breakwater ban list` : '');
      byId('no-bans').hidden = bans.length > 0;
    } catch (error) {
      setText(byId('bans-note'), messageOf(error));
    }
  };
}

/**
 * @param {BanView} ban
 * @returns {Row<BanView>}
 */
function createRow(ban) {
  const note = h('small');
  const remove = button('Remove', () => request('DELETE', `/bans/${encodeURIComponent(ban.id)}`));
  remove.hidden = !may('unban');
  const whom = h('strong', { class: 'clip' }, visible(nameOf(ban)));
  return {
    element: h('li', {}, h('div', {}, whom, ' ', note), remove),
    update({ createdAt, expiresAt, reason = '' }) {
      const left = expiresAt === undefined ? 0 : (Date.parse(expiresAt) - Date.now()) / 1000;
      const until = left <= 0 ? '' : `, for ${duration(left)} more`;
      const why = reason === '' ? '' : `: ${visible(reason)}`;
      setText(note, `made ${ago(createdAt)} ago${until}${why}`);
    },
  };
}

/** @param {BanCriterion} ban */
function nameOf(ban) {
  const kinds = /** @type {(keyof BanCriterion)[]} */ (Object.keys(labels));
  const kind = kinds.find((each) => ban[each] !== undefined) ?? 'source';
  return `${labels[kind]} ${ban[kind]}`;
}

/** @param {string} [clientId] whom to ban; without it the person says */
export function askBan(clientId) {
  ask({
    title: 'Ban a device or a network',
    text: 'It is refused at every proxy from now on.',
    yes: 'Ban',
    isDangerous: true,
    fields: [
      {
        ...{ name: 'kind', label: 'By' },
        options: Object.entries(labels).map(([value, label]) => ({ value, label })),
      },
      {
        name: 'value',
        label: 'Which',
        required: true,
        value: clientId,
        hint: 'A source is an address or a network such as 198.51.100.0/24.',
      },
      { name: 'expires', label: 'For seconds', type: 'number', min: 1, hint: 'Empty: until it is removed.' },
      { name: 'reason', label: 'Reason', hint: 'For those who read this list.' },
      {
        ...{ name: 'kick', label: 'Who is connected', hint: 'Those that match the ban.' },
        options: [
          { value: '', label: 'stays' },
          { value: 'kick', label: 'is disconnected' },
        ],
      },
    ],
    run: ({ kind = '', value, expires = '', reason = '', kick }) =>
      request('POST', '/bans', {
        [kind]: value,
        ...(expires !== '' && { expires: Number(expires) }),
        ...(reason !== '' && { reason }),
        kick: kick !== '',
      }),
    done: 'banned',
  });
}
