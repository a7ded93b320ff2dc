import { setTimeout as sleep } from 'node:timers/promises';
import { InvalidArgumentError } from 'commander';
import type { MovesView } from '../../admin/backend.ts';
import { BreakwaterError } from '../../base/errors.ts';
import { LiveLine } from '../output/live-line.ts';

/** How moves are followed: a bar in a terminal, a line a second elsewhere. */

const LOOK_MS = 200;
const PLAIN_INTERVAL_MS = 1_000;
const BAR_WIDTH = 24;
/** A proxy that is upgraded meanwhile answers again within this time: moves go on in the process after it. */
const AWAY_MS = 5_000;

/** `[############------------] 50%  moved 40, failed 0, left 40, 20/s, 2 s to go` */
export function movesLine({ moved, failed, left, pace, timeLeft }: MovesView): string {
  const part = moved + left === 0 ? 1 : moved / (moved + left);
  const full = Math.floor(part * BAR_WIDTH);
  const bar = `${'#'.repeat(full)}${'-'.repeat(BAR_WIDTH - full)}`;
  const percent = `${Math.floor(part * 100)}%`.padStart(4);
  const ahead = timeLeft === undefined || left === 0 ? '' : `, ${durationText(timeLeft)} to go`;
  return `[${bar}] ${percent}  moved ${moved}, failed ${failed}, left ${left}, ${pace.toFixed(0)}/s${ahead}`;
}

function durationText(seconds: number): string {
  if (seconds < 90) return `${Math.ceil(seconds)} s`;
  return seconds < 5400 ? `${Math.ceil(seconds / 60)} min` : `${Math.ceil(seconds / 3600)} h`;
}

/** One look; where nobody answers it is tried again for a while. */
async function seen<View>(look: () => Promise<View>): Promise<View> {
  for (const endMs = performance.now() + AWAY_MS; ; ) {
    try {
      return await look();
    } catch (error) {
      const isAway = error instanceof BreakwaterError && error.code === 'ADMIN_UNREACHABLE';
      if (!isAway || performance.now() > endMs) throw error;
    }
    await sleep(LOOK_MS);
  }
}

/** Looks until nothing moves any more; resolves with the last look. `quiet` prints nothing. */
export async function followMoves<View extends MovesView>(
  look: () => Promise<View>,
  quiet: boolean,
): Promise<View> {
  const line = new LiveLine(process.stdout, () => performance.now(), PLAIN_INTERVAL_MS);
  for (;;) {
    const view = await seen(look);
    if (!quiet) line.update(movesLine(view));
    if (view.state !== 'moving') {
      line.end();
      return view;
    }
    await sleep(LOOK_MS);
  }
}

/** `--rate` is a number of sessions a second. */
export const RATE_OPTION = [
  '--rate <n>',
  'at most so many sessions a second, over all proxies; 100',
] as const;

/** `--tolerance` is a part of the fair share. */
export function tolerance(typed: string): number {
  const value = Number(typed);
  if (/^\d+(\.\d+)?$/.test(typed) && value <= 10) return value;
  throw new InvalidArgumentError('It must be a number from 0 to 10, such as 0.1.');
}
