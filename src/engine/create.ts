import { BreakwaterError } from '../base/errors.ts';
import type { Engine, EngineName, EngineOptions } from './engine.ts';
import { loadEpoll } from './epoll/load.ts';
import type { LinuxSupport } from './linux/support.ts';
import { tlsUnavailable } from './linux/tls-support.ts';
import { NodeEngine } from './node/engine.ts';
import { loadUring } from './uring/load.ts';
import { deadlyFilter } from './uring/seccomp.ts';

/** Chooses the engine that the configuration asks for, and makes it. */

type LinuxEngineName = Exclude<EngineName, 'node'>;

const linux: Readonly<Record<LinuxEngineName, () => LinuxSupport>> = { epoll: loadEpoll, uring: loadUring };

/** What `chooseEngine` asks the machine. */
interface Machine {
  readonly epoll: () => LinuxSupport;
  readonly uring: () => LinuxSupport;
  /** Why io_uring is not even to be tried; undefined where it may be. */
  readonly deadlyFilter: () => string | undefined;
}

interface ChosenEngine {
  readonly name: EngineName;
  /** For `auto`: why it is not a faster one. */
  readonly why?: string;
  /** For `auto`: what a thread takes whose engine cannot be made after all. */
  readonly spare?: EngineName;
}

let filter: { readonly fault: string | undefined } | undefined;

/** Is asked once: it takes a process. */
function knownFilter(): string | undefined {
  filter ??= { fault: deadlyFilter() };
  return filter.fault;
}

/**
 * The engine of the configuration's `proxy.engine`. `auto` takes the fastest that can be had, speaks TLS, and harms nobody.
 * @param threads data threads that are to run
 * @throws BreakwaterError ENGINE_UNAVAILABLE where an engine is asked for that this machine cannot run
 */
export function chooseEngine(
  wanted: EngineName | 'auto',
  threads: number,
  machine: Machine = { ...linux, deadlyFilter: knownFilter },
): ChosenEngine {
  if (wanted === 'node') return { name: 'node' };
  if (wanted === 'auto') return chooseFastest(machine, threads);
  const support = machine[wanted]();
  if (support.available) return { name: wanted };
  throw unavailable(wanted, support.reason);
}

function chooseFastest({ epoll, uring, deadlyFilter }: Machine, threads: number): ChosenEngine {
  const support = epoll();
  const lacking = support.available ? support.tlsFault() : support.reason;
  if (lacking !== undefined) return { name: 'node', why: `not epoll: ${lacking}` };
  const fault = deadlyFilter() ?? faultOf(uring(), threads);
  return fault === undefined
    ? { name: 'uring', spare: 'epoll' }
    : { name: 'epoll', why: `not uring: ${fault}` };
}

/** Why an engine is not taken for those who did not ask for it. */
function faultOf(support: LinuxSupport, threads: number): string | undefined {
  return support.available ? support.drawback?.(threads) : support.reason;
}

/** Why TLS records are OpenSSL's at this engine, whatever the configuration says; undefined: they are not, or always were Node's. */
export function recordsFault(name: EngineName): string | undefined {
  const support = name === 'node' ? undefined : linux[name]();
  return support?.available ? support.recordsFault() : undefined;
}

/** @throws BreakwaterError ENGINE_UNAVAILABLE where this engine finds no OpenSSL that it can call */
export function checkTls(name: EngineName): void {
  const support = name === 'node' ? undefined : linux[name]();
  const fault = support?.available ? support.tlsFault() : undefined;
  if (fault !== undefined) throw tlsUnavailable(fault);
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

/** @throws Error where the machine has not what it needs, or has no more of it */
export function createEngine(name: EngineName, options: EngineOptions): Engine {
  if (name === 'node') return new NodeEngine(options);
  const support = linux[name]();
  if (!support.available) throw unavailable(name, support.reason);
  return support.create(options);
}

/**
 * The same, but where it cannot be made, and there is a spare one, that, and what failed: memory may have run out since the engine
 * was chosen.
 */
export function createEngineOr(
  name: EngineName,
  spare: EngineName | undefined,
  options: EngineOptions,
): { readonly engine: Engine; readonly failure?: unknown } {
  try {
    return { engine: createEngine(name, options) };
  } catch (error) {
    if (spare === undefined) throw error;
    return { engine: createEngine(spare, options), failure: error };
  }
}

function unavailable(name: EngineName, reason: string): BreakwaterError {
  return new BreakwaterError('ENGINE_UNAVAILABLE', `${name} is not available: ${reason}; use auto or node`);
}
