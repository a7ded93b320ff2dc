import { systemClock } from '../../base/time.ts';
import type { EngineOptions } from '../engine.ts';

/** Each step of a connection on Node's event loop is guarded, and is a turn: Node tells nobody of its own. */

interface Stepping {
  /** Number of the connection. */
  readonly number: number;
  abort(): void;
}

/** Whose step is under way in this thread: a fault within it is caught by that step. */
let current: Stepping | undefined;

/** One connection's fault ends that connection and no other; undefined where it failed. */
export function guarded<T>(
  wire: Stepping,
  { pulse, onFault }: Pick<EngineOptions, 'pulse' | 'onFault'>,
  step: () => T,
): T | undefined {
  const before = current;
  if (before === wire) return step();
  const isTurn = pulse?.isInTurn === false;
  if (isTurn) pulse.begin(systemClock.now());
  pulse?.at(wire.number);
  current = wire;
  try {
    return step();
  } catch (error) {
    onFault(error);
    wire.abort();
    return undefined;
  } finally {
    current = before;
    if (before !== undefined) pulse?.at(before.number);
    if (isTurn) pulse.end(systemClock.now());
  }
}
