import { BreakwaterError } from '../base/errors.ts';
import type { Engine, EngineOptions } from './engine.ts';
import { loadEpoll } from './epoll/load.ts';
import { NodeEngine } from './node/engine.ts';

/** Chooses the engine that the configuration asks for, and makes it. */

export type EngineName = 'epoll' | 'node';

/**
 * The engine of the configuration's `proxy.engine`, and for `auto` why it is not the faster one.
 * @throws BreakwaterError ENGINE_UNAVAILABLE where `epoll` is asked for and this machine cannot run it
 */
export function chooseEngine(wanted: EngineName | 'auto'): {
  readonly name: EngineName;
  readonly why?: string;
} {
  if (wanted === 'node') return { name: 'node' };
  const epoll = loadEpoll();
  if (epoll.available) return { name: 'epoll' };
  if (wanted === 'auto') return { name: 'node', why: epoll.reason };
  throw unavailable(epoll.reason);
}

/** @throws BreakwaterError TRANSPARENT_UNAVAILABLE where this engine, or this process, cannot use devices' addresses */
export function checkTransparent(name: EngineName): void {
  const epoll = name === 'epoll' ? loadEpoll() : undefined;
  const fault = epoll?.available
    ? epoll.transparentFault()
    : 'it needs proxy.engine: epoll, which is for Linux';
  if (fault === undefined) return;
  throw new BreakwaterError('TRANSPARENT_UNAVAILABLE', fault);
}

export function createEngine(name: EngineName, options: EngineOptions): Engine {
  if (name === 'node') return new NodeEngine(options);
  const epoll = loadEpoll();
  if (!epoll.available) throw unavailable(epoll.reason);
  return epoll.create(options);
}

function unavailable(reason: string): BreakwaterError {
  return new BreakwaterError('ENGINE_UNAVAILABLE', `epoll is not available: ${reason}; use auto or node`);
}
