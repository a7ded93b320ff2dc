import type { EndReason } from '../connection/world.ts';
import type { ThreadEvent } from './messages.ts';

/** What is needed of a connection. */
interface Holder {
  /** When it got its client id, by a clock that all threads share; 0 before. */
  claimedAtMs: number;
  end(reason: EndReason): void;
}

export interface ClientIdsOptions {
  /** Milliseconds, the same for all threads. */
  readonly now: () => number;
  /** Other threads have to know; absent where there are none. */
  readonly tell: ((event: ThreadEvent) => void) | undefined;
}

/**
 * Session mode: which connection of this thread has each client id, over all listeners. The newest connection has it,
 * and the one before it is ended, so that the two do not fight for the session when its node closes a link (rule 14).
 * Over threads `server/owners.ts` sees to the same.
 */
export class ClientIds<T extends Holder> {
  private readonly holders = new Map<string, T>();
  private readonly options: ClientIdsOptions;

  constructor(options: ClientIdsOptions) {
    this.options = options;
  }

  get(clientId: string): T | undefined {
    return this.holders.get(clientId);
  }

  /** An empty client id is nobody's: the node, or we, will choose one that nobody else has. */
  claim(clientId: string, connection: T): void {
    if (clientId === '') return;
    const { now, tell } = this.options;
    this.holders.get(clientId)?.end('taken-over');
    this.holders.set(clientId, connection);
    connection.claimedAtMs = now();
    tell?.({ type: 'owned', clientId, sinceMs: connection.claimedAtMs });
  }

  disown(clientId: string, connection: T): void {
    if (this.holders.get(clientId) !== connection) return;
    this.holders.delete(clientId);
    this.options.tell?.({ type: 'disowned', clientId });
  }

  /** Another thread's connection has had it since then; one that came here later keeps it. */
  superseded(clientId: string, sinceMs: number): void {
    const holder = this.holders.get(clientId);
    if (holder !== undefined && holder.claimedAtMs < sinceMs) holder.end('taken-over');
  }
}
