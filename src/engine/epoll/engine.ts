import { type Clock, systemClock } from '../../base/time.ts';
import {
  type BoundAddress,
  type Engine,
  type EngineOptions,
  LINK_LINGER_MS,
  type ListenOptions,
  MAX_HANDSHAKES,
} from '../engine.ts';
import { Pulse } from '../pulse.ts';
import { type Libc, noted } from './libc.ts';
import { Loop } from './loop.ts';
import { DEFAULT_KEEP_ALIVE, type KeepAlive } from './sockets.ts';

export interface EpollOptions extends EngineOptions {
  readonly keepAlive?: KeepAlive;
  readonly onAcceptResumed?: () => void;
  readonly clock?: Clock;
  /** For tests: an illegal change of a socket's state is a fault of its connection (`socket-rules.ts`). */
  readonly checksStates?: boolean;
}

/**
 * The engine of one thread. From the first `listen` on it blocks the thread in `epoll_wait`, and goes back to
 * Node's own event loop, which delivers messages and settles promises, only when `wakeFd` is written.
 */
export function createEpollEngine(libc: Libc, options: EpollOptions): Engine & { readonly wakeFd: number } {
  const ignore = (): void => undefined;
  const loop = new Loop(options.descriptors === undefined ? libc : noted(libc, options.descriptors), {
    accept: options.accept,
    onFault: options.onFault,
    highWaterBytes: options.highWaterBytes,
    linkLingerMs: options.linkLingerMs ?? LINK_LINGER_MS,
    keepAlive: options.keepAlive ?? DEFAULT_KEEP_ALIVE,
    clock: options.clock ?? systemClock,
    checksStates: options.checksStates ?? false,
    pulse: options.pulse ?? new Pulse(),
    onAcceptPaused: options.onAcceptPaused ?? ignore,
    onAcceptResumed: options.onAcceptResumed ?? ignore,
    maxHandshakes: options.maxHandshakes ?? MAX_HANDSHAKES,
    onHandshakeRefused: options.onHandshakeRefused ?? ignore,
    onHeaderRefused: options.onHeaderRefused ?? ignore,
  });
  let started = false;
  let closed = false;

  function turn(): void {
    if (closed) return;
    try {
      loop.run();
    } finally {
      if (!closed) setImmediate(turn); // also behind a fault that nobody caught
    }
  }

  async function listen(listener: ListenOptions): Promise<BoundAddress> {
    if (listener.tls !== undefined) loop.tls.configure(listener.index, listener.tls);
    loop.headers.configure(listener.index, listener.headers);
    const bound = loop.listeners.listen(listener);
    if (!started) setImmediate(turn);
    started = true;
    return bound;
  }

  /** Descriptors belong to the process, so a thread that exits would leave its sockets open for ever. */
  function closeNow(): void {
    if (closed) return;
    closed = true;
    process.off('exit', closeNow);
    loop.close();
  }
  process.on('exit', closeNow);

  return {
    name: 'epoll',
    wakeFd: loop.wakeFd,
    now: () => loop.now(),
    defer: (task) => loop.defer(task),
    listen,
    updateTls: (listenerIndex, tls) => loop.tls.configure(listenerIndex, tls),
    updateHeaders: (listenerIndex, headers) => loop.headers.configure(listenerIndex, headers),
    updateUpstreamTls: (pool, tls) => loop.tls.configureLinks(pool, tls),
    open: (listenerIndex) => loop.listeners.open(listenerIndex),
    unlisten(listenerIndex) {
      loop.listeners.closeOne(listenerIndex);
      loop.headers.close(listenerIndex);
      loop.tls.forget(listenerIndex);
    },
    stopAccepting() {
      loop.listeners.close();
      loop.headers.close();
    },
    close: async () => closeNow(),
  };
}
