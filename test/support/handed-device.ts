import type { HandedConnection } from '../../src/connection/handed.ts';
import { describePeer } from '../../src/connection/handed-peer.ts';
import { HANDED_VERSION } from '../../src/connection/handed-version.ts';
import type { Described } from '../../src/data-plane/handed-device.ts';
import type { HandedSocket } from '../../src/engine/handed-sockets.ts';

/** A device that has sent `held`, with one link, by the descriptors 3 and 4. @param number of its connection */
export function described(number: number, held = 'secret'): Described {
  const socket: HandedSocket = {
    ...{ fd: 3, tls: Uint8Array.of(7), unread: new Uint8Array(), waiting: Uint8Array.of(97, 98, 99) },
    ...{ hasEnded: false, fin: 'none' as const, isHeld: false },
  };
  const links = [{ ...socket, fd: 4, link: 0, isSpliced: false, lingerMs: 0 }];
  const counters = { fromDevice: 0, toDevice: 0, isCounted: false, timerMs: 0 };
  const state: HandedConnection = {
    ...{ version: HANDED_VERSION, kind: 'opaque', reason: undefined },
    state: { phase: 'greeting', held: Uint8Array.from(Buffer.from(held)) },
  };
  const peer = describePeer({ remoteAddress: '127.0.0.1', remotePort: 7, ipv4: undefined });
  return { sockets: { device: socket, links, lastLink: 0, number, ...counters }, peer, state };
}
