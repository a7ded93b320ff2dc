import type { Socket } from 'node:net';

/** Keeps the sockets that connect to a listener before it is open. */

/** As many as the kernel would have wait. */
const MAX_HELD = 4096;
const ignore = (): void => {};

/** Who connected to a listener that is bound and not open yet: `node:net` accepts as soon as it listens. */
export class HeldSockets {
  private held: Socket[] | undefined = [];

  /** False where the listener is open: then the socket is the caller's. One too many is reset. */
  hold(socket: Socket): boolean {
    if (this.held === undefined) return false;
    socket.on('error', ignore);
    if (this.held.length < MAX_HELD) this.held.push(socket);
    else socket.resetAndDestroy();
    return true;
  }

  /** Hands over those that are still there, and holds none from now on. */
  open(accept: (socket: Socket) => void): void {
    const { held = [] } = this;
    this.held = undefined;
    for (const socket of held) {
      if (socket.destroyed) continue;
      accept(socket);
      socket.off('error', ignore); // only now: whoever has it listens himself
    }
  }

  /** The listener goes without having been open. */
  drop(): void {
    this.open((socket) => socket.resetAndDestroy());
  }
}
