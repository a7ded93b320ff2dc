import { BreakwaterError } from '../errors.ts';
import type { Engine, EngineOptions } from './engine.ts';
import { createNodeEngine } from './node/engine.ts';

export type EngineName = 'epoll' | 'node';

/** The engine of the configuration's `proxy.engine`, and for `auto` why it is not the faster one. */
export function chooseEngine(wanted: EngineName | 'auto'): {
  readonly name: EngineName;
  readonly why?: string;
} {
  if (wanted === 'epoll') {
    throw new BreakwaterError('ENGINE_UNAVAILABLE', 'proxy.engine: epoll is not available; use auto or node');
  }
  return { name: 'node' };
}

export function createEngine(_name: EngineName, options: EngineOptions): Engine {
  return createNodeEngine(options);
}
