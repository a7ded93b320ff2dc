// @ts-check
/** How far a rebalance has come, while there is one. */

import { getIfThere } from './api.js';
import { progress } from './charts.js';
import { byId, h } from './dom.js';
import { count, duration } from './format.js';

/** @import { RebalanceView } from '../backend.ts' */

/** One that is over is shown for so long. */
const OVER_MS = 15_000;
let movingAt = Number.NEGATIVE_INFINITY;

export async function refreshRebalance() {
  /** @type {RebalanceView | undefined} */
  const view = await getIfThere('/rebalance');
  const now = performance.now();
  if (view?.state === 'moving') movingAt = now;
  const place = byId('rebalance');
  place.hidden = view === undefined || view.state === 'off' || now - movingAt > OVER_MS;
  if (view === undefined || place.hidden) return;
  const { state, moved, left, failed, timeLeft, pools } = view;
  const ahead = timeLeft === undefined || left === 0 ? '' : `, ${duration(timeLeft)} to go`;
  const tries = failed === 0 ? '' : `, ${count(failed)} failed`;
  const text = `Rebalance of ${pools.join(', ')}: ${state}, ${count(moved)} moved, ${count(left)} left${tries}${ahead}`;
  place.replaceChildren(
    h('span', {}, text),
    progress(state === 'done' ? moved + left : moved, moved + left, 'Rebalance'),
  );
}
