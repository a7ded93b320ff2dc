import { BreakwaterError } from '../base/errors.ts';
import type { Engine, EngineName, EngineOptions } from './engine.ts';
import { loadEpoll } from './epoll/load.ts';
import type { LinuxSupport } from './linux/support.ts';
import { NodeEngine } from './node/engine.ts';
import { loadUring } from './uring/load.ts';

/** Chooses the engine that the configuration asks for, and makes it. */

const linux: Readonly<Record<Exclude<EngineName, 'node'>, () => LinuxSupport>> = {
  epoll: loadEpoll,
  uring: loadUring,
};

/**
 * The engine of the configuration's `proxy.engine`, and for `auto` why it is not a faster one: one that cannot speak TLS here is not taken.
 * @throws BreakwaterError ENGINE_UNAVAILABLE where an engine is asked for that this machine cannot run
 */
export function chooseEngine(
  wanted: EngineName | 'auto',
  engines = linux,
): { readonly name: EngineName; readonly why?: string } {
  if (wanted === 'node') return { name: 'node' };
  const name = wanted === 'auto' ? 'epoll' : wanted;
  const support = engines[name]();
  const isAuto = wanted === 'auto';
  const why = support.available ? (isAuto ? support.tlsFault() : undefined) : support.reason;
  if (why === undefined) return { name };
  if (isAuto) return { name: 'node', why };
  throw unavailable(name, why);
}

/** Why TLS records are OpenSSL's at this engine, whatever the configuration says; undefined: they are not, or always were Node's. */
export function recordsFault(name: EngineName): string | undefined {
  const support = name === 'node' ? undefined : linux[name]();
  return support?.available ? support.recordsFault() : undefined;
}

/** @throws BreakwaterError TRANSPARENT_UNAVAILABLE where this engine, or this process, cannot use devices' addresses */
export function checkTransparent(name: EngineName): void {
  const support = name === 'node' ? undefined : linux[name]();
  const fault = support?.available
    ? support.transparentFault()
    : 'it needs proxy.engine: epoll or uring, which are for Linux';
  if (fault === undefined) return;
  throw new BreakwaterError('TRANSPARENT_UNAVAILABLE', fault);
}

export function createEngine(name: EngineName, options: EngineOptions): Engine {
  if (name === 'node') return new NodeEngine(options);
  const support = linux[name]();
  if (!support.available) throw unavailable(name, support.reason);
  return support.create(options);
}

function unavailable(name: EngineName, reason: string): BreakwaterError {
  return new BreakwaterError('ENGINE_UNAVAILABLE', `${name} is not available: ${reason}; use auto or node`);
}
