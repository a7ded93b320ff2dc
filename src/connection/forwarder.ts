import type { ConnectionHost, ConnectionView, EndReason } from './connection-host.ts';
import type { HandedForwarder } from './handed.ts';
import type { EndCause, Link, Target, Wire } from './wire.ts';

/**
 * How the bytes of a device are forwarded after its CONNECT: by `Relay` or by `SessionForwarder`. The forwarder
 * finds a node for the device, and hears of everything that happens until the connection closes.
 */
export interface Forwarder {
  /** The node that serves the device, or is asked to. */
  readonly target: Target | undefined;
  /** What the node calls a device that brought no client id (MQTT 5). */
  readonly assignedClientId: string | undefined;
  /** Asks for a node: `preferred` first, where one is remembered. Called once. */
  place(preferred: string | undefined): void;
  deviceData(bytes: Uint8Array, start: number, end: number): void;
  deviceEnded(cause: EndCause): void;
  linkOpened(link: Link): void;
  linkFailed(link: Link, errno: string): void;
  linkData(link: Link, bytes: Uint8Array, start: number, end: number): void;
  linkEnded(link: Link, cause: EndCause): void;
  timer(): void;
  /** Ends the connection from outside. @param serverReference where the device is to go instead (MQTT 5) */
  end(reason: EndReason, serverReference?: string): void;
  /**
   * The broker has accepted a newer connection of the same device: this one must begin nothing in the name of the
   * device.
   */
  superseded(): void;
  /** The connection closes: ends the links, and gives back what is counted. Once more: ends what is still under way. */
  leave(): void;
  /** What another process needs to go on; undefined: not now, and nothing has changed. */
  describe(): HandedForwarder | undefined;
  /** Another process goes on: gives back what is counted, and tells nobody. Last call of all. */
  departed(): void;
  /** Every socket is closed, perhaps without a `leave`: nothing more will happen. */
  closed(): void;
}

/** What a forwarder needs of its connection. */
export interface ForwarderHost extends ConnectionView {
  readonly wire: Wire;
  readonly host: ConnectionHost;
  /** A newer connection of the same device was accepted: this one is never moved. */
  readonly isSuperseded: boolean;
  /** The node lives and has ended a link: is a takeover the explanation? */
  readonly isTakenOver: boolean;
  /** The device is served. `isAccepted` is as in `ConnectionHost.placed`. Called once. */
  placed(isAccepted: boolean): void;
  /** Why the connection ends; the first reason given stays. */
  because(reason: EndReason): void;
  /** Turns the device away: `label` for the metric, then `reply` if there is one, and the close. */
  refuse(label: string, reply: Uint8Array | undefined, reason: EndReason): void;
  /** Ends the device side, and has the forwarder `leave`. */
  close(how: 'flush' | 'reset'): void;
}
