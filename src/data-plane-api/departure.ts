import type { EndReason } from '../connection/connection-host.ts';

/** What workers are told when devices are to leave this proxy. */

/** Where devices reach a listener of another proxy. */
export interface ServerReference {
  readonly scheme: string;
  /** `host:port`, as a Server Reference has it (MQTT 5.0 clause 4.13). */
  readonly address: string;
}

/** Which devices are to leave, and what they are told. */
export interface DepartureOrder {
  /** With a higher number than before, those leave that are here at present. Who comes later stays. */
  readonly departure: number;
  /** At most so many of them; 0: they are only noted. */
  readonly count: number;
  readonly reason: EndReason;
  /** Where other proxies are, for listeners that name no neighbours. */
  readonly references: readonly ServerReference[];
}
