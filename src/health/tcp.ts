import { attempt, type Probe } from './probe.ts';
import { discard, open } from './socket.ts';

/**
 * The node accepts a TCP connection, and where it is reached by TLS, shakes hands. Without TLS a process that hangs
 * passes too: its kernel accepts for it.
 */
export const tcpProbe: Probe = (target, limits) =>
  attempt('tcp', target, limits, (finish) => {
    const probe = open(target, limits, () => {
      // An orderly end behind a header, because a reset could overtake it, and the node would log a connection without.
      if (target.header === undefined && target.tls === undefined) finish();
      else probe.socket.end(() => finish());
    });
    const { socket } = probe;
    socket.on('error', finish);
    return () => (socket.writableFinished ? socket.destroy() : discard(probe));
  });
