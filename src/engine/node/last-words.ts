import type { Socket } from 'node:net';
import { causeOf } from './reset.ts';

/** What a peer said before it reset its socket is heard, also where bytes to it have failed by then. */

type Written = (error?: Error | null) => void;

/**
 * `node:net` destroys a socket when a write fails, with all that it has not read. Here the write of a socket that was reset stays
 * open until all is read: `_write` and `_writev` are how a stream is told to write, and their callbacks how it hears of failures
 * (Node's "API for stream implementers").
 */
export function hearOut(socket: Socket): void {
  const held = (written: Written): Written => {
    return (error) => {
      if (!error || causeOf(error) !== 'reset' || socket.readableEnded || socket.destroyed)
        return written(error);
      socket.once('end', () => written(error)); // a failing read destroys the socket itself
    };
  };
  const { _write, _writev } = socket;
  socket._write = (chunk, encoding, written) => _write.call(socket, chunk, encoding, held(written));
  if (_writev !== undefined)
    socket._writev = (chunks, written) => _writev.call(socket, chunks, held(written));
}
