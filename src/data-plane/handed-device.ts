import { Deserializer, Serializer } from 'node:v8';
import type { HandedConnection, HandedPeer } from '../connection/handed.ts';
import type { HandedDevice } from '../data-plane-api/hand-over-messages.ts';
import { descriptorsOf, withDescriptors } from '../engine/handed-descriptors.ts';
import type { HandedSockets } from '../engine/handed-sockets.ts';

/**
 * A connection on its way from one worker to another. What only workers need of it is written once, by the first, and read by the last:
 * whoever is between passes on bytes.
 */

/** What one worker tells another. */
export interface Described {
  readonly sockets: HandedSockets;
  readonly peer: HandedPeer;
  readonly state: HandedConnection;
}

export function packDevice(
  { sockets, peer, state }: Described,
  listener: number,
  accepted: HandedDevice['accepted'],
): HandedDevice {
  const serializer = new Serializer();
  serializer.writeHeader();
  serializer.writeValue({ sockets, peer, state });
  const description = serializer.releaseBuffer();
  return { listener, descriptors: descriptorsOf(sockets), accepted, description };
}

/** As it was written: each array has memory of its own. Of another process it is whatever that says. @throws Error where these are no bytes of `packDevice` */
export function readDescription(description: Uint8Array): unknown {
  const deserializer = new Deserializer(description);
  deserializer.readHeader();
  return deserializer.readValue();
}

/** By the descriptors that it has here. What came from another process was checked before. @throws Error where it was wiped */
export function unpackDevice({ description, descriptors }: HandedDevice): Described {
  const { sockets, ...rest } = readDescription(description) as Described;
  return { ...rest, sockets: withDescriptors(sockets, descriptors) };
}

/** Keys of TLS, passwords and payloads; whoever goes on with the connection has its own copy. */
export function wipe({ description }: Pick<HandedDevice, 'description'>): void {
  description.fill(0);
}
