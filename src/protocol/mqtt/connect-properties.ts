import { uint16, uint32 } from '../../base/bytes.ts';
import { anyText } from './field.ts';
import { property, propertyEnd, sectionEnd } from './properties.ts';
import { MALFORMED, varintEnd } from './varint.ts';

/** The properties of CONNECT (MQTT 5.0 clause 3.1.2.11), as far as a proxy must know them. */

export interface ConnectProperties {
  /** Seconds; 0xFFFFFFFF is never. 3.1 and 3.1.1 sessions: 0 when clean, else never (clause 3.1.2.11.2). */
  sessionExpiryInterval: number;
  /** QoS 1 and 2 messages that the device takes unacknowledged, 1 to 65,535. */
  receiveMaximum: number;
  /** Bytes of the largest packet that the device takes; undefined is no limit. */
  maximumPacketSize: number | undefined;
  /** Topic aliases that the device takes; 0 is none. */
  topicAliasMaximum: number;
  /** Set when the device wants an enhanced authentication. */
  authenticationMethod: string | undefined;
}

/** Where the device says nothing. */
export const plainProperties: Readonly<ConnectProperties> = Object.freeze({
  sessionExpiryInterval: 0,
  receiveMaximum: 65_535,
  maximumPacketSize: undefined,
  topicAliasMaximum: 0,
  authenticationMethod: undefined,
});

/** Of 3.1 and 3.1.1, without clean session. */
export const lastingProperties: Readonly<ConnectProperties> = Object.freeze({
  ...plainProperties,
  sessionExpiryInterval: 0xffff_ffff,
});

let known = plainProperties;

/** The same properties as one shared value, because nearly all devices of a kind say the same. */
export function sharedProperties(properties: ConnectProperties): Readonly<ConnectProperties> {
  if (areEqual(properties, plainProperties)) return plainProperties;
  if (!areEqual(properties, known)) known = properties;
  return known;
}

function areEqual(left: Readonly<ConnectProperties>, right: Readonly<ConnectProperties>): boolean {
  return (
    left.sessionExpiryInterval === right.sessionExpiryInterval &&
    left.receiveMaximum === right.receiveMaximum &&
    left.maximumPacketSize === right.maximumPacketSize &&
    left.topicAliasMaximum === right.topicAliasMaximum &&
    left.authenticationMethod === right.authenticationMethod
  );
}

/**
 * Reads the section at `at` into `into`, up to where it cannot be understood: whether it is as it should be is for the
 * broker to judge. The offset just behind it; MALFORMED where that is not to be found before `end`.
 */
export function readConnectProperties(
  bytes: Uint8Array,
  at: number,
  end: number,
  into: ConnectProperties,
): number {
  const behind = sectionEnd(bytes, at, end);
  if (behind === MALFORMED) return MALFORMED;
  for (let next = varintEnd(bytes, at, behind); next < behind; ) {
    const idAt = next;
    next = propertyEnd(bytes, idAt, behind);
    if (next === MALFORMED) break;
    take(bytes[idAt] as number, bytes, idAt + 1, next, into);
  }
  return behind;
}

/** Keeps the value in [at, behind) where it is wanted, and allowed. */
function take(id: number, bytes: Uint8Array, at: number, behind: number, into: ConnectProperties): void {
  switch (id) {
    case property.sessionExpiryInterval:
      into.sessionExpiryInterval = uint32(bytes, at);
      return;
    case property.receiveMaximum:
      into.receiveMaximum = uint16(bytes, at) || into.receiveMaximum;
      return;
    case property.maximumPacketSize:
      into.maximumPacketSize = uint32(bytes, at) || into.maximumPacketSize;
      return;
    case property.topicAliasMaximum:
      into.topicAliasMaximum = uint16(bytes, at);
      return;
    case property.authenticationMethod:
      into.authenticationMethod = anyText(bytes, at + 2, behind);
      return;
  }
}
