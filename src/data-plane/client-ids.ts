import type { ConnectionView } from '../connection/connection-host.ts';
import type { Accepted, WorkerEvent } from '../data-plane-api/messages.ts';
import { hash32 } from '../policy/balance/hash.ts';
import { Namesakes } from './namesakes.ts';
import { clientCnOf } from './rule-input.ts';

/** What this index needs to know of a connection. */
interface Holder {
  readonly clientId: string;
  readonly route: { readonly name: string } | undefined;
  /** When the broker accepted it, by a clock that all threads share; 0 before. */
  acceptedAtMs: number;
  who: number;
  superseded(isSame: boolean): void;
}

interface ClientIdsOptions {
  /** Milliseconds, the same for all threads. */
  readonly now: () => number;
  /** Tells the other workers; absent where there are none. */
  readonly tell: ((event: WorkerEvent) => void) | undefined;
}

/**
 * The served connections of this worker by client id, over all listeners. The broker decides which connection owns
 * a client id. Accepting a connection ends no other one here. It marks the former connection of the same pool and
 * client id, so that the end of its link is known to be a takeover (rule 14). Between workers `proxy/owners.ts`
 * does the same.
 */
export class ClientIds<T extends Holder> {
  private readonly holders = new Map<string, T | Namesakes<T>>();
  private readonly options: ClientIdsOptions;

  constructor(options: ClientIdsOptions) {
    this.options = options;
  }

  /** Every connection of a client id, in whichever pool; the oldest first. */
  named(clientId: string): Iterable<T> {
    const known = this.holders.get(clientId);
    if (known === undefined) return [];
    return known instanceof Namesakes ? known : [known];
  }

  /**
   * A connection is served. An empty client id belongs to no device, because the node chooses one that nobody else
   * has.
   */
  add(connection: T): void {
    const { clientId } = connection;
    if (clientId === '') return;
    const known = this.holders.get(clientId);
    if (known === undefined) this.holders.set(clientId, connection);
    else if (known instanceof Namesakes) known.add(connection);
    else this.holders.set(clientId, new Namesakes(known, connection));
  }

  /** The broker has accepted a connection that was added. Returns whether there was an older one. @param who see `identityOf` */
  accept(connection: T, who: number): boolean {
    const { clientId, route } = connection;
    if (clientId === '' || route === undefined) return false;
    const pool = route.name;
    const sinceMs = this.options.now();
    const hasMarked = this.supersede({ pool, clientId, who, sinceMs });
    connection.acceptedAtMs = sinceMs;
    connection.who = who;
    const known = this.holders.get(clientId);
    if (known instanceof Namesakes) known.accepted(connection);
    this.options.tell?.({ type: 'owned', pool, clientId, who, sinceMs });
    return hasMarked;
  }

  /**
   * Marks what was accepted until then: the broker has accepted a newer connection, in this thread or elsewhere. Returns
   * whether there was any.
   */
  supersede({ pool, clientId, who, sinceMs }: Accepted): boolean {
    const known = this.holders.get(clientId);
    if (known instanceof Namesakes) return known.supersede(pool, who, sinceMs);
    if (known === undefined || known.acceptedAtMs === 0 || known.acceptedAtMs > sinceMs) return false;
    if (known.route?.name !== pool) return false;
    known.superseded(known.who === who);
    return true;
  }

  /** One that comes from another process, with what the broker has said of it there. Nobody is told. */
  revive(connection: T): void {
    this.add(connection);
    const known = this.holders.get(connection.clientId);
    if (known instanceof Namesakes) known.revived(connection);
  }

  delete(connection: T): void {
    if (this.forget(connection) && connection.acceptedAtMs > 0 && connection.route !== undefined)
      this.options.tell?.({ type: 'disowned', pool: connection.route.name, clientId: connection.clientId });
  }

  /** The same, but nobody is told: another process has it. Returns whether it was the newest of its pool. */
  forget(connection: T): boolean {
    const { clientId } = connection;
    const known = this.holders.get(clientId);
    const isNewest = known instanceof Namesakes ? known.delete(connection) : known === connection;
    if (known === connection || (known instanceof Namesakes && known.isEmpty)) this.holders.delete(clientId);
    return isNewest;
  }
}

/** A number that tells the client ids of all pools apart. */
export function clientNumber(pool: string, clientId: string): number {
  return hash32(clientId, hash32(pool));
}

/**
 * Who a device says it is besides its client id: its username, and the name in its client certificate. Some brokers know
 * devices by these instead (mosquitto's `use_username_as_clientid`); two connections that agree in all of it are one
 * device to every broker. The same in all proxies of a cluster; 0 where there is neither.
 */
export function identityOf({ connect, peer }: Pick<ConnectionView, 'connect' | 'peer'>): number {
  const username = connect?.username ?? '';
  const commonName = clientCnOf(peer) ?? '';
  if (username === '' && commonName === '') return 0;
  return hash32(username) ^ hash32(commonName, 1);
}
