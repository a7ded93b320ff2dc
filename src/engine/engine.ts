import type { Peer, Wire, WireEvents } from '../connection/wire.ts';
import type { ProxyProtocolOptions } from '../protocol/proxy-protocol/expect.ts';
import type { HandedSockets } from './handed-sockets.ts';
import type { OnHeaderRefused } from './headers.ts';
import type { Pulse } from './pulse.ts';
import type { TlsOptions, UpstreamTls } from './tls.ts';

/** What the rest of the proxy knows of an engine: the contract that each of them keeps. */
export type EngineName = 'uring' | 'epoll' | 'node';

/**
 * An engine owns the sockets of one data thread: listeners, device sides, upstream links and timers.
 * Every implementation passes `test/contract/engine.ts`.
 */
export interface Engine {
  readonly name: EngineName;
  /**
   * Binds and starts to accept. `index` comes back in `accept`. Several threads bind the same address.
   * @throws BreakwaterError ADDRESS_IN_USE, ADDRESS_NOT_AVAILABLE, TLS_INVALID, ENGINE_UNAVAILABLE (no OpenSSL)
   */
  listen(listener: ListenOptions): Promise<BoundAddress>;
  /**
   * Has a listener shake hands by these options from now on; connections that are open go on with what they have.
   * @throws BreakwaterError TLS_INVALID with the reason; then the former options stay
   */
  updateTls(listenerIndex: number, tls: TlsOptions): void;
  /** What a listener expects of PROXY protocol headers from now on; absent: none. */
  updateProxyProtocol(listenerIndex: number, options: ProxyProtocolOptions | undefined): void;
  /**
   * The same for links to nodes, by the number of the pool that their targets name. A pool that nothing is said of, or
   * nothing any more, trusts whom Node.js trusts, and verifies.
   * @throws BreakwaterError TLS_INVALID with the reason, ENGINE_UNAVAILABLE (no OpenSSL); then the former options stay
   */
  updateUpstreamTls(pool: number, tls: UpstreamTls | undefined): void;
  /** Begins to accept at a listener that was bound `isHeld`, or is held. */
  open(listenerIndex: number): void;
  /** Closes the listening socket of one listener; its connections go on. Its index may listen again, elsewhere too. */
  unlisten(listenerIndex: number): void;
  /** Closes the listening sockets; connections go on. */
  stopAccepting(): void;
  /**
   * Resets whatever is still open, and resolves when `closed` has been told of every connection. What is frozen is only closed:
   * the peers of what another process has taken over notice nothing.
   */
  close(): Promise<void>;
  /**
   * The descriptors of a listener's listening sockets, for `ListenOptions.inherited` of another process.
   * @throws BreakwaterError UPGRADE_UNAVAILABLE where this engine cannot hand over, as all that follow
   */
  listening(listenerIndex: number): readonly number[];
  /** Accepts nobody until `open`: whoever connects waits. */
  hold(listenerIndex: number): void;
  /** Another process accepts there: closes our descriptors of the listening sockets. Whoever was accepted goes on, those too that owe a header. */
  leave(listenerIndex: number): void;
  /**
   * Stops all events of a connection, and says what another engine needs to go on with its sockets. Until it is thawed or
   * departed nobody calls its wire, but to set the timer, or to reset its device. Undefined: not now; nothing has changed
   * then. It dials, shakes hands, or ends, has left work to a later turn of the loop, or its TLS records are OpenSSL's.
   */
  freeze(wire: Wire): HandedSockets | undefined;
  /** Goes on with a frozen connection as if nothing had been. */
  thaw(wire: Wire): void;
  /** Ends a frozen connection here: our descriptors are closed, and neither its peers nor it are told. */
  depart(wire: Wire): void;
  /**
   * A frozen connection of such sockets. `begin` makes what is told of it from `thaw` on; what it was counted for and its
   * timer are set before, and may be set anew there.
   * @throws BreakwaterError UPGRADE_REFUSED where it cannot be taken, and whatever `begin` throws; the descriptors stay the caller's then
   */
  adopt(sockets: HandedSockets, begin: (wire: Wire) => WireEvents): Wire;
  /** The time in milliseconds, as of the present batch of socket events: the clock is not read for every one. */
  now(): number;
  /** Runs the task once, after the present batch of socket events. */
  defer(task: () => void): void;
  /**
   * A descriptor to write 8 bytes (a u64 of 1) to after `postMessage`, where the thread waits in the kernel. Whoever
   * writes closes it, when the thread has ended: closed by the thread, it could be another's by the time of a write.
   */
  readonly wakeFd?: number;
}

export interface ListenOptions {
  readonly index: number;
  readonly host: string;
  /** 0 lets the system choose. */
  readonly port: number;
  /** Absent: plain TCP. */
  readonly tls?: TlsOptions | undefined;
  /** A PROXY protocol header is taken before all else, TLS too. Absent: the first byte is the device's. */
  readonly proxyProtocol?: ProxyProtocolOptions | undefined;
  /** The device sends the first bytes, so that accepting it may wait for them. */
  readonly deviceGreets?: boolean | undefined;
  /** Bound, but nobody is accepted before `open`: whoever connects waits. */
  readonly isHeld?: boolean | undefined;
  /** No other thread is expected at this address yet: whoever is there is another program. */
  readonly isFirst?: boolean | undefined;
  /**
   * Listening sockets of this address that another process has handed over: devices are accepted there, and nothing is bound.
   * Where `listen` fails they stay the caller's.
   */
  readonly inherited?: readonly number[] | undefined;
}

export interface BoundAddress {
  readonly host: string;
  readonly port: number;
}

/**
 * Called for every accepted device, behind its PROXY protocol header, with TLS before the handshake, so that one time limit covers both; `undefined`
 * refuses it (the socket is reset).
 */
export type Accept = (wire: Wire, peer: Peer, listenerIndex: number) => WireEvents | undefined;

export interface EngineOptions {
  readonly accept: Accept;
  /**
   * Most bytes that wait towards one peer in relay mode. The engines for Linux do not read a source while anything waits for
   * its destination. The node engine stops when so many bytes wait; one read, of at most 64 KiB, may come on top.
   */
  readonly highWaterBytes: number;
  /** Whether messages that go one way in quick succession wait for each other, for some 0.1 ms; absent: they do. The node engine never has them wait. */
  readonly gathers?: boolean;
  /** An exception in one connection's code: that connection is reset, the engine goes on. */
  readonly onFault: (error: unknown) => void;
  /**
   * A fault has left the engine's loop, and what the loop was still to tell others in that turn is lost: it turns no more, and its
   * connections can be frozen. `culprit`: whose reset failed. Absent, or where nothing can be handed over: the fault is thrown, and the loop goes on.
   */
  readonly onBroken?: ((error: unknown, culprit: Wire | undefined) => void) | undefined;
  /** Where the engine gives its signs of life; absent: nobody looks. */
  readonly pulse?: Pulse;
  /** Where bytes of devices are counted, by `Wire.countAt`. The first two numbers are for those that are not. Absent: none are. */
  readonly traffic?: Float64Array;
  /** Where each descriptor is noted that belongs to the process rather than to the thread (`descriptors.ts`). */
  readonly descriptors?: Uint8Array | undefined;
  /** TLS handshakes in progress at one time; a device beyond is reset before `accept` is asked. 1,000 by default. */
  readonly maxHandshakes?: number;
  readonly onHandshakeRefused?: (listenerIndex: number) => void;
  readonly onHeaderRefused?: OnHeaderRefused;
  /** Descriptors or memory ran out (`reason` is an errno name): nothing is accepted until some are free again. Not told by the node engine. */
  readonly onAcceptPaused?: (reason: string) => void;
  /** How long a link that was flushed may take to close; then it is reset. `LINK_LINGER_MS` by default. */
  readonly linkLingerMs?: number;
}

/** A handshake holds some 50 kB, and takes half a millisecond: more at a time would only all be late. */
export const MAX_HANDSHAKES = 1000;

/**
 * A node that hangs still has to read what it was told last, and it would not if its answers to what came before were met by a
 * reset: then the Will of a live device fires.
 */
export const LINK_LINGER_MS = 60_000;

/** A peer that has said nothing for so long is asked whether it is there (TCP keep-alive). */
export const KEEP_ALIVE_IDLE_SECONDS = 30;
