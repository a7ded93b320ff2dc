import { connect as connectTcp, type Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import { connect as connectTls } from 'node:tls';
import { createWebSocketStream, WebSocket } from 'ws';

/** Ways of a device to the address that it connects to: TCP or TLS, with or without WebSocket. */

export interface Way {
  readonly scheme: 'mqtt' | 'mqtts' | 'ws' | 'wss';
  readonly port: number;
  /** Of TLS, the only one that the device speaks. */
  readonly version?: 'TLSv1.2' | 'TLSv1.3';
}

/** A connection that is being made; what is written meanwhile goes out behind. */
interface Opened {
  /** Bytes of MQTT. */
  readonly stream: Duplex;
  readonly socket: Socket;
}

export type Door = () => Opened;

export const tcpDoor = (port: number): Door => doorOf({ scheme: 'mqtt', port });

export function doorOf({ scheme, port, version = 'TLSv1.3' }: Way): Door {
  const address = { port, host: '127.0.0.1' };
  const tls = { rejectUnauthorized: false, minVersion: version, maxVersion: version };
  return () => {
    const isSecure = scheme === 'mqtts' || scheme === 'wss';
    const socket = isSecure ? connectTls({ ...address, ...tls }) : connectTcp(address);
    socket.setNoDelay(true);
    return { stream: scheme === 'ws' || scheme === 'wss' ? overWebSocket(socket) : socket, socket };
  };
}

function overWebSocket(socket: Socket): Duplex {
  const options = { createConnection: () => socket, perMessageDeflate: false };
  return createWebSocketStream(new WebSocket('ws://127.0.0.1/mqtt', 'mqtt', options as never));
}
