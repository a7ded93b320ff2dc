import { setTimeout as sleep } from 'node:timers/promises';
import { messageOf } from '../../base/errors.ts';
import { printableLines } from '../../base/printable.ts';
import { watchSignals } from '../signals.ts';
import { LiveScreen } from './live-screen.ts';

/** Between two looks of `--watch`. */
const LOOK_MS = 1_000;

/**
 * Shows what `look` finds: once, or with `watch` every second until Ctrl-C, each over the one before. The first look says
 * what is wrong with the question; a later one that fails is shown, and tried again.
 */
export async function show(watch: boolean | undefined, look: () => Promise<string>): Promise<void> {
  const first = await look();
  if (!watch) return console.log(first);
  const { asked } = watchSignals();
  const screen = new LiveScreen(process.stdout);
  try {
    for (let text = first; !asked.aborted; text = await look().catch(failureText)) {
      screen.draw(text);
      await sleep(LOOK_MS, undefined, { signal: asked }).catch(() => {});
    }
  } finally {
    screen.close();
  }
}

function failureText(error: unknown): string {
  return `error: ${printableLines(messageOf(error))}`;
}
