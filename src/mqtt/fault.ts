import { reasonCode } from './reason-codes.ts';

/** What is wrong with a packet, in the words of MQTT 5 (clause 4.13.1). 3.1.1 has no words and closes. */
export interface Fault {
  readonly code: typeof reasonCode.malformedPacket | typeof reasonCode.protocolError;
  /** For logs; holds nothing that the device sent but single bytes. */
  readonly detail: string;
}

/** It cannot be parsed according to the standard. */
export function malformed(detail: string): Fault {
  return { code: reasonCode.malformedPacket, detail };
}

/** It can be parsed, but says what the standard does not allow. */
export function protocolError(detail: string): Fault {
  return { code: reasonCode.protocolError, detail };
}
