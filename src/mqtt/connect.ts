/** The CONNECT packet (MQTT 3.1 clause 3.1, MQTT 3.1.1 clause 3.1, MQTT 5.0 clause 3.1). */

/** 3 is MQTT 3.1, 4 is MQTT 3.1.1, 5 is MQTT 5.0. */
export type ProtocolVersion = 3 | 4 | 5;

export interface Connect {
  readonly protocolVersion: ProtocolVersion;
  readonly clientId: string;
  readonly cleanStart: boolean;
  /** Seconds; 0 is off. */
  readonly keepAlive: number;
  readonly username: string | undefined;
  readonly hasPassword: boolean;
  readonly hasWill: boolean;
}

/** Why a first packet is refused: a metric label, and what the standard answers. */
export type ConnectFault =
  | 'not-mqtt'
  | 'too-large'
  | 'malformed'
  | 'protocol-version'
  | 'client-id'

export type ConnectResult =
  | { readonly kind: 'incomplete' }
  /** `end` is the offset just behind the packet; what follows was pipelined. */
  | { readonly kind: 'connect'; readonly connect: Connect; readonly end: number }
  /** `reply`, where the standard has one, is sent before the close. */
  | { readonly kind: 'refused'; readonly fault: ConnectFault; readonly detail: string; readonly reply: Uint8Array | undefined };
