import { BreakwaterError, messageOf } from '../base/errors.ts';
import type { ListenerSettings, Report, WorkerSettings } from '../data-plane-api/messages.ts';
import type { BoundAddress } from '../engine/engine.ts';
import { strategies } from '../policy/balance/index.ts';
import type { Strategy } from '../policy/balance/strategy.ts';

/** What all Workers that understand `messages.ts` do in the same way. */

export function strategiesOf({ pools }: Pick<WorkerSettings, 'pools'>): (Strategy | undefined)[] {
  return pools.map((pool) => pool && strategies[pool.strategy]);
}

/** The answer to `listen`: all listeners are bound, or `undo` unbinds those that are. */
export async function answerListen(
  request: number,
  listeners: readonly Pick<ListenerSettings, 'index'>[],
  bound: readonly Promise<BoundAddress>[],
  undo: () => void,
): Promise<Report> {
  const results = await Promise.allSettled(bound);
  for (const [at, result] of results.entries()) {
    if (result.status === 'fulfilled') continue;
    undo();
    return { type: 'failed', request, ...failureOf(result.reason), listener: listeners[at]?.index };
  }
  const addresses = results.flatMap((result) => ('value' in result ? [result.value] : []));
  return { type: 'listening', request, addresses };
}

export function failureOf(error: unknown): { readonly code: string; readonly message: string } {
  return { code: error instanceof BreakwaterError ? error.code : 'INTERNAL', message: messageOf(error) };
}
