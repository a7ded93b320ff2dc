import { connect } from 'node:net';
import { attempt, type Probe } from './probe.ts';
import { discard } from './socket.ts';

/** The node accepts a TCP connection. A process that hangs passes too: its kernel accepts for it. */
export const tcpProbe: Probe = (target, limits) =>
  attempt('tcp', target, limits, (settle) => {
    const socket = connect({ host: target.host, port: target.port });
    socket.on('connect', () => settle());
    socket.on('error', settle);
    return () => discard(socket);
  });
