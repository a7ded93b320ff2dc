import type { MergedIncident } from './incident.ts';

/** An incident in one sentence, the same in the CLI, the dashboard and the API. Times are UTC. */

export function incidentText(incident: MergedIncident): string {
  const { kind, subject, fromMs, lastMs, isOver, cause = '' } = incident;
  const at = clockOf(fromMs);
  const until = isOver ? `, for ${secondsOf(lastMs - fromMs)} s` : ', and still is';
  switch (kind) {
    case 'node-lost':
      return isHarmless(incident)
        ? `${subject} unhealthy at ${at}${until}${because(incident)}`
        : `${subject} lost at ${at}${movesText(incident)}${because(incident)}`;
    case 'drain':
      return `${subject} left from ${at} on${movesText(incident)}`;
    case 'rebalance':
      return `rebalanced from ${at} on${movesText(incident)}`;
    case 'panic':
      return `pool ${subject}: no node was healthy at ${at}${until}; all of them were tried`;
    case 'store-outage':
      return `the membership store was away at ${at}${until}${cause === '' ? '' : ` (${cause})`}`;
    case 'proxy-lost':
      return `proxy ${subject} vanished at ${at}: ${cause}`;
    case 'thread-stuck':
      return `data thread ${subject} did not answer at ${at}${until}`;
    case 'thread-died':
      return `data thread ${subject} died at ${at}${cause === '' ? '' : `: ${cause}`}`;
    case 'thread-failing':
      return `data thread ${subject} died again and again at ${at}${until}`;
    case 'refusals':
      return `${incident.count} devices turned away from ${at} on: ${subject}`;
    case 'reload-refused':
      return `reload refused at ${at}: ${cause}`;
    case 'certificate':
      return `certificate of ${subject} at ${at}: ${cause}`;
  }
}

/** A probe says so, and no device was touched. */
function isHarmless({ evidence, moves, failed, disconnected }: MergedIncident): boolean {
  return evidence === undefined && moves.length === 0 && failed === 0 && disconnected === 0;
}

/** `: 334 sessions moved to emqx-1 (170) and emqx-3 (164) in 0.8 s, 0 disconnected` */
function movesText({ moves, movesFromMs, movesToMs, failed, disconnected }: MergedIncident): string {
  const moved = moves.reduce((sum, [, count]) => sum + count, 0);
  const places = moves
    .toSorted(([, a], [, b]) => b - a)
    .map(([node, count]) => `${node} (${count})`)
    .join(' and ');
  const to = moved === 0 ? '' : ` to ${places} in ${secondsOf(movesToMs - movesFromMs)} s`;
  const tries = failed === 0 ? '' : `, ${failed} tries in vain`;
  return `: ${moved} ${moved === 1 ? 'session' : 'sessions'} moved${to}${tries}, ${disconnected} disconnected`;
}

function because({ evidence = '', cause = '' }: MergedIncident): string {
  const shown = evidence === '' ? '' : `, evidence ${evidence}`;
  return cause === '' || cause === 'link-lost' ? shown : `${shown} (${cause})`;
}

function clockOf(ms: number): string {
  return new Date(ms).toISOString().slice(11, 19);
}

function secondsOf(ms: number): string {
  const seconds = Math.max(0, ms) / 1000;
  return seconds < 10 ? seconds.toFixed(1) : seconds.toFixed(0);
}
