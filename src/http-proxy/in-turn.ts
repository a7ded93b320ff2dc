import type { ServerResponse } from 'node:http';
import type { Duplex } from 'node:stream';

/** Requests of one connection that may wait for their turn: more than fit into one read. */
const MAX_WAITING = 4_096;

/** What waits on a connection that has an answer under way; those before `next` have been served. */
interface Turn {
  readonly waiting: (() => void)[];
  next: number;
}

/**
 * Serves the requests of one connection one at a time, in their order, however many are sent at once (pipelining,
 * RFC 9112, 9.3.2): their answers must leave in that order, and so one connection takes one place at a node.
 */
export class InTurn {
  private readonly turns = new WeakMap<Duplex, Turn>();

  /** Has this connection an answer under way? */
  isBusy(socket: Duplex): boolean {
    return this.turns.has(socket);
  }

  /** Calls `serve` when all answers before this one have ended. A connection that sends too many is destroyed. */
  run(socket: Duplex, response: ServerResponse, serve: () => void): void {
    const turn = this.turns.get(socket);
    if (turn === undefined) {
      const begun: Turn = { waiting: [], next: 0 };
      this.turns.set(socket, begun);
      this.begin(socket, begun, response, serve);
    } else if (turn.waiting.length - turn.next < MAX_WAITING) {
      turn.waiting.push(() => this.begin(socket, turn, response, serve));
    } else {
      socket.destroy();
    }
  }

  private begin(socket: Duplex, turn: Turn, response: ServerResponse, serve: () => void): void {
    response.once('close', () => this.ended(socket, turn));
    serve();
  }

  private ended(socket: Duplex, turn: Turn): void {
    const next = socket.destroyed ? undefined : turn.waiting[turn.next];
    if (next === undefined) {
      this.turns.delete(socket);
      return;
    }
    turn.next++;
    if (turn.next === turn.waiting.length) {
      turn.waiting.length = 0;
      turn.next = 0;
    }
    next();
  }
}
