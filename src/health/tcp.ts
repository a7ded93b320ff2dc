import { connect } from 'node:net';
import { attempt, type Probe } from './probe.ts';
import { discard } from './socket.ts';

/** The node accepts a TCP connection. A process that hangs passes too: its kernel accepts for it. */
export const tcpProbe: Probe = (target, limits) =>
  attempt('tcp', target, limits, (settle) => {
    const socket = connect({ host: target.host, port: target.port });
    const { header } = target;
    socket.on('connect', () => {
      // An orderly end behind a header, because a reset could overtake it, and the node would log a connection without.
      if (header === undefined) settle();
      else socket.end(header, () => settle());
    });
    socket.on('error', settle);
    return () => (socket.writableFinished ? socket.destroy() : discard(socket));
  });
