import type { NodeAddresses } from '../nodes/addresses.ts';
import type { Addressed } from '../protocol/address/ip.ts';
import type { Endpoint } from '../protocol/proxy-protocol/header.ts';
import type { Tlv } from '../protocol/proxy-protocol/tlv.ts';

/**
 * The two halves of the border between a connection (pure, sans-I/O) and the engine that owns its sockets.
 *
 * A connection has one device side and, over its life, any number of upstream links to nodes. Links are numbered
 * from 0 by `dial`; the number is the epoch that fences: after `endNode(link)` no event of that link arrives.
 *
 * Bytes are passed as (bytes, start, end) so that an engine can hand over its one scratch buffer and take back a
 * piece of it without a copy or an allocation. They are valid during the call only: keep a copy, or nothing. Those of
 * `deviceData` may be written over: a layer between the two takes its framing off in place.
 */

/** Number of an upstream link within its connection, growing with every dial. */
export type Link = number;

/** Where to dial: a node's slot in the routing table and its resolved address. */
export interface Target {
  /** The node's slot in the routing table; live connections are counted there. */
  readonly slot: number;
  readonly nodeId: string;
  /** IPv4 or IPv6 literal; of several, the first. */
  readonly host: string;
  readonly port: number;
  /** Where the node has more than one: they are dialled in turn, within one dial, until one answers. */
  readonly addresses?: NodeAddresses | undefined;
  /** IP literal of this machine to dial from, of the family of `host`; absent: the kernel chooses. */
  readonly sourceAddress?: string | undefined;
  /**
   * `sourceAddress` is the device's own address, which is not an address of this machine. Only engines for Linux can
   * do that.
   */
  readonly isTransparent?: boolean | undefined;
  /** Goes first on the link, before `linkOpened` and before any TLS: a PROXY protocol header of this connection. */
  readonly header?: Uint8Array | undefined;
  /** Absent: plain TCP. */
  readonly tls?: TargetTls | undefined;
}

/** How a node is dialled by TLS. */
export interface TargetTls {
  /** Number of the pool, whose options hold. */
  readonly pool: number;
  /** Name or IP literal that the node's certificate is for, where the pool has no name for all. */
  readonly serverName: string;
}

/** What the `reason` of a failed dial begins with when TCP was there and TLS was not. */
export const TLS_REASON = 'TLS: ';

/**
 * How one side ended. `fin` is the polite half-close: the other direction may still carry bytes. `tls`: the handshake
 * or a record of TLS was refused, and the device was told so by an alert. `websocket`: its upgrade or a frame was
 * refused, and it was told so by a status or a close code.
 */
export type EndCause = 'fin' | 'reset' | 'timeout' | 'tls' | 'websocket' | 'error';

/** What the connection asks of the engine. No call calls back into the connection before it returns. */
export interface Wire {
  /** Queues bytes to the device. Order is kept; while bytes wait here the engine stops reading the current link. */
  toDevice(bytes: Uint8Array, start: number, end: number): void;
  /** Queues bytes to a link that is open. While bytes wait here the engine stops reading the device. */
  toNode(link: Link, bytes: Uint8Array, start: number, end: number): void;
  /**
   * Starts a connection to a node; answered by `linkOpened`, with TLS behind the handshake, or `linkFailed`. `greets` promises that something is
   * sent as soon as it is open: the end of TCP's handshake may then travel with it.
   */
  dial(target: Target, greets?: boolean): Link;
  /**
   * From now on the engine moves bytes both ways by itself, unseen (relay mode): with bounded buffers,
   * back-pressure and half-close: a FIN (also one seen before) is carried over behind the last byte, a device's reset
   * resets the link, a node's reset ends the device after the last byte. `deviceEnded`, `linkEnded`, `timer` and
   * `closed` are still told. When both directions have ended, the engine closes both sockets.
   */
  splice(link: Link): void;
  /** Do bytes wait for the device? Then its link is not read, and a silent node proves nothing. */
  isDeviceBehind(): boolean;
  /** Stops or resumes reading the device, besides the engine's own back-pressure. */
  holdDevice(hold: boolean): void;
  /** The same for a link. */
  holdNode(link: Link, hold: boolean): void;
  /**
   * Runs the task once, in a later turn of the loop, when the other connections have had theirs; not after `closed`. For
   * work that would hold the thread for long: each part of it takes a millisecond or two. With a link, not before that
   * takes bytes again, or is closed; at most one task at a time waits so.
   */
  nextTurn(task: () => void, link?: Link): void;
  /**
   * Runs it at once. For what is told to a connection from outside its own events, by another connection or by a command: a
   * fault of it ends this connection, and not the caller, which gets undefined.
   */
  guard<T>(run: () => T): T | undefined;
  /**
   * Ends the device side: `flush` sends what waits, then FIN, and closes when the device has closed too (what it still
   * sends is discarded), however long that takes: the connection bounds it by a timer (`stillTakes`), and then resets. `reset`, also after
   * `flush`, or while TLS still shakes hands, discards and resets at once. Only `timer` and `closed` are still told.
   */
  endDevice(how: 'flush' | 'reset'): void;
  /** Sends FIN behind what waits for the device, which may go on speaking and is still heard. Nothing is sent after it. */
  finishDevice(): void;
  /** Sends FIN behind what waits for the node, which may go on speaking and is still heard. Nothing is sent after it. */
  finishNode(link: Link): void;
  /**
   * Ends one link likewise: `flush` waits for the node to close too, for a minute at most. Nothing of that link is told
   * any more, but `closed` is called once: when its socket is closed, or at once where it is closed already or reset.
   */
  endNode(link: Link, how: 'flush' | 'reset', closed?: () => void): void;
  /**
   * Has a side that was ended taken anything, since this was asked last, of what waits for it here or in the kernel? The first
   * time: does anything wait? The `node` engine does not see what waits in the kernel.
   */
  stillTakes(): boolean;
  /** The connection has this number from now on: the engine notes it while it is at work for it. */
  numbered(connection: number): void;
  /**
   * From now on bytes of the device are counted at this place of `EngineOptions.traffic`, those that it has sent behind it
   * those that it was sent; and so are those of before, where they are counted nowhere yet.
   */
  countAt(place: number): void;
  /** The connection's one timer: fires once after so many milliseconds; replaces an earlier one; 0 clears it. */
  setTimer(ms: number): void;
}

/** What the engine tells the connection. */
export interface WireEvents {
  deviceData(bytes: Uint8Array, start: number, end: number): void;
  /**
   * The device sent FIN (in TLS: close_notify), reset, timed out, or broke TLS. After `fin` it may still be written
   * to. Told once.
   */
  deviceEnded(cause: EndCause): void;
  linkOpened(link: Link): void;
  /** The dial failed; `reason` is an errno name such as `ECONNREFUSED`, or begins with `TLS_REASON`. The link is gone. */
  linkFailed(link: Link, reason: string): void;
  linkData(link: Link, bytes: Uint8Array, start: number, end: number): void;
  /** The node sent FIN (it may still be written to), reset, or timed out. Told once. */
  linkEnded(link: Link, cause: EndCause): void;
  timer(): void;
  /** Last call of all: every socket of the connection is closed. Byte counts are of payload, both ways, since accept. */
  closed(bytesFromDevice: number, bytesToDevice: number): void;
}

/** The device's end of the TCP connection, as the listener saw it. */
export interface Peer extends Addressed {
  readonly remotePort: number;
  /** Where the device connected to. Absent once its socket is closed. */
  readonly destination?: Endpoint | undefined;
  /** The server that the device named in a TLS that passes through us. */
  readonly serverName?: string | undefined;
  /** What a trusted proxy in front of us says besides, by version 2 of the PROXY protocol. */
  readonly tlvs?: readonly Tlv[] | undefined;
  /** Absent on a plain connection, and until the handshake is done. */
  readonly tls?: PeerTls | undefined;
  /** What it asked for over HTTP; absent where it speaks no WebSocket, and until the upgrade. */
  readonly request?: PeerRequest | undefined;
}

/** The request by which a device came to WebSocket. */
export interface PeerRequest {
  /** Without the query. */
  readonly path: string;
  /** In lower case, without the port. */
  readonly host: string;
  /** Of the page; what is no browser has none. */
  readonly origin: string | undefined;
  /** Id of the node that persistence by cookie names. */
  readonly preferredNode?: string | undefined;
}

/** What TLS has agreed with the device. */
export interface PeerTls {
  readonly version: 'TLSv1.2' | 'TLSv1.3';
  /** OpenSSL's name of the cipher suite. */
  readonly cipher: string;
  /** The name that the device asked for (SNI, RFC 6066). */
  readonly serverName: string | undefined;
  readonly alpn: string | undefined;
  /** Common name of the subject of the client certificate, which was verified. */
  readonly clientCertificateCn: string | undefined;
}
