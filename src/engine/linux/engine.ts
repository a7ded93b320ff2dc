/**
 * The Linux engine of one thread, as the rest of the proxy uses it: listeners, commands, and the start and end of its loop.
 */

import { type Clock, systemClock } from '../../base/time.ts';
import type { Wire, WireEvents } from '../../connection/wire.ts';
import type { ProxyProtocolOptions } from '../../protocol/proxy-protocol/expect.ts';
import {
  type BoundAddress,
  type Engine,
  type EngineOptions,
  LINK_LINGER_MS,
  type ListenOptions,
  MAX_HANDSHAKES,
} from '../engine.ts';
import type { HandedSockets } from '../handed-sockets.ts';
import { Pulse } from '../pulse.ts';
import type { TlsOptions, UpstreamTls } from '../tls.ts';
import type { CreateDriver } from './driver.ts';
import { HandOver } from './hand-over.ts';
import { type Libc, noted } from './libc.ts';
import { Loop } from './loop.ts';
import { DEFAULT_KEEP_ALIVE, type KeepAlive } from './sockets.ts';
import { LinuxWire } from './wire.ts';

export interface LinuxOptions extends EngineOptions {
  readonly keepAlive?: KeepAlive;
  readonly onAcceptResumed?: () => void;
  readonly clock?: Clock;
  /** For tests: an illegal change of a socket's state is a fault of its connection (`socket-rules.ts`). */
  readonly checksStates?: boolean;
}

/**
 * The engine of one thread. From the first `listen` on it blocks the thread in the kernel, and goes back to
 * Node's own event loop, which delivers messages and settles promises, only when `wakeFd` is written.
 */
export class LinuxEngine implements Engine {
  readonly name: 'epoll' | 'uring';
  readonly wakeFd: number;
  private readonly loop: Loop;
  private readonly handOver: HandOver;
  private readonly turn = (): void => this.run();
  private readonly exit: () => void;
  private readonly onBroken: EngineOptions['onBroken'];
  private isStarted = false;
  /** It turns no more. */
  private isBroken = false;
  private isClosed = false;

  constructor(name: 'epoll' | 'uring', libc: Libc, createDriver: CreateDriver, options: LinuxOptions) {
    this.name = name;
    const { descriptors } = options;
    const ignore = (): void => undefined;
    const calls = descriptors === undefined ? libc : noted(libc, descriptors);
    this.loop = new Loop(calls, createDriver, {
      accept: options.accept,
      onFault: options.onFault,
      highWaterBytes: options.highWaterBytes,
      gathers: options.gathers ?? true,
      linkLingerMs: options.linkLingerMs ?? LINK_LINGER_MS,
      keepAlive: options.keepAlive ?? DEFAULT_KEEP_ALIVE,
      clock: options.clock ?? systemClock,
      checksStates: options.checksStates ?? false,
      pulse: options.pulse ?? new Pulse(),
      traffic: options.traffic ?? new Float64Array(2),
      onAcceptPaused: options.onAcceptPaused ?? ignore,
      onAcceptResumed: options.onAcceptResumed ?? ignore,
      maxHandshakes: options.maxHandshakes ?? MAX_HANDSHAKES,
      onHandshakeRefused: options.onHandshakeRefused ?? ignore,
      onHeaderRefused: options.onHeaderRefused ?? ignore,
    });
    this.handOver = new HandOver(calls, this.loop);
    this.wakeFd = this.loop.wakeFd;
    this.onBroken = options.onBroken;
    // Those whose descriptors are noted are closed by the main thread, one after the other.
    const isNoted = options.descriptors !== undefined;
    this.exit = () => (isNoted ? this.loop.tls.leave() : this.closeOnce());
    process.on('exit', this.exit);
  }

  private run(): void {
    if (this.isClosed) return;
    try {
      this.loop.run();
    } catch (error) {
      if (this.onBroken === undefined) throw error;
      this.isBroken = true;
      this.onBroken(error, this.loop.faults.culprit);
    } finally {
      if (!this.isClosed && !this.isBroken) setImmediate(this.turn); // also behind a fault that nobody caught
    }
  }

  now(): number {
    return this.loop.now();
  }

  defer(task: () => void): void {
    this.loop.defer(task);
  }

  updateTls(listenerIndex: number, tls: TlsOptions): void {
    this.loop.tls.configure(listenerIndex, tls);
  }

  updateProxyProtocol(listenerIndex: number, options: ProxyProtocolOptions | undefined): void {
    this.loop.headers.configure(listenerIndex, options);
  }

  updateUpstreamTls(pool: number, tls: UpstreamTls | undefined): void {
    this.loop.tls.configureLinks(pool, tls);
  }

  async listen(listener: ListenOptions): Promise<BoundAddress> {
    if (listener.tls !== undefined) this.updateTls(listener.index, listener.tls);
    this.updateProxyProtocol(listener.index, listener.proxyProtocol);
    const bound = this.loop.listeners.listen(listener);
    this.start();
    return bound;
  }

  private start(): void {
    if (!this.isStarted) setImmediate(this.turn);
    this.isStarted = true;
  }

  open(listenerIndex: number): void {
    this.loop.listeners.open(listenerIndex);
  }

  unlisten(listenerIndex: number): void {
    this.loop.listeners.closeOne(listenerIndex);
    this.loop.headers.close(listenerIndex);
    this.loop.tls.forget(listenerIndex);
  }

  // ---- handing over

  listening(listenerIndex: number): readonly number[] {
    return this.loop.listeners.of(listenerIndex);
  }

  hold(listenerIndex: number): void {
    this.loop.listeners.hold(listenerIndex);
  }

  leave(listenerIndex: number): void {
    this.loop.listeners.closeOne(listenerIndex);
  }

  freeze(wire: Wire): HandedSockets | undefined {
    return this.handOver.freeze(ours(wire));
  }

  thaw(wire: Wire): void {
    this.handOver.thaw(ours(wire));
  }

  depart(wire: Wire): void {
    this.handOver.depart(ours(wire));
  }

  adopt(sockets: HandedSockets, begin: (wire: Wire) => WireEvents): Wire {
    this.start();
    return this.handOver.adopt(sockets, begin);
  }

  // ---- ending

  stopAccepting(): void {
    this.loop.listeners.close();
    this.loop.headers.close();
  }

  async close(): Promise<void> {
    this.closeOnce();
  }

  /** Descriptors belong to the process, so a thread that exits would leave its sockets open for ever. */
  private closeOnce(): void {
    if (this.isClosed) return;
    this.isClosed = true;
    process.off('exit', this.exit);
    this.loop.close();
  }
}

function ours(wire: Wire): LinuxWire {
  if (wire instanceof LinuxWire) return wire;
  throw new Error('a wire of another engine, or a layer over one of ours');
}
