import type { TracedPacket } from '../connection/packet-trace.ts';

/** What is said between the main thread, or another proxy, and a worker about the trace of one connection. */

/** What is asked of the trace of a connection. `reader`: whoever began it; nobody else takes from it. */
export interface TraceOrder {
  readonly kind: 'begin' | 'take' | 'end';
  readonly connection: number;
  readonly reader: string;
  /** With the beginnings of payloads. */
  readonly payloads: boolean;
}

export interface TraceAnswer {
  /**
   * `absent`: no such connection, or no such trace. `gone`: the connection has ended, and these are the last packets.
   * `relayed`: its packets are not followed. `busy`: it is traced already, or too many are. `forbidden`: payloads are not to
   * be shown here.
   */
  readonly state: 'open' | 'absent' | 'gone' | 'relayed' | 'busy' | 'forbidden';
  readonly packets: readonly TracedPacket[];
  /** Packets that passed and could not wait. */
  readonly dropped: number;
}
