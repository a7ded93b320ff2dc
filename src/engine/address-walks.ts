import type { Link, Target } from '../connection/wire.ts';
import type { AddressWalk } from '../nodes/addresses.ts';

/** Dialling a node that has several addresses: one address after another, until one answers or none is left. */

/**
 * An address of a node that has several is dialled for so long before the next one is: long enough for one lost SYN (sent
 * again after 1 s). The last has whatever time is left.
 */
export const ADDRESS_PATIENCE_MS = 1_200;

interface Dialling {
  readonly walk: AddressWalk;
  readonly target: Target;
}

/** Links of one connection that are being dialled to nodes of several addresses. */
export class AddressWalks {
  private readonly underWay = new Map<Link, Dialling>();

  get size(): number {
    return this.underWay.size;
  }

  /** The target at the address that is dialled first. */
  begin(link: Link, target: Target): Target {
    const walk = target.addresses?.walk();
    if (walk === undefined) return target;
    this.underWay.set(link, { walk, target });
    return this.next(link) ?? target;
  }

  /** The target at the next address, because the present one did not answer; undefined where none is left. */
  next(link: Link): Target | undefined {
    const dialling = this.underWay.get(link);
    const host = dialling?.walk.next();
    if (dialling !== undefined && host !== undefined) return { ...dialling.target, host };
    this.underWay.delete(link);
    return undefined;
  }

  /** Is there an address that the present one could give way to? */
  has(link: Link): boolean {
    return this.underWay.get(link)?.walk.isLast === false;
  }

  /** The present address answered. */
  reached(link: Link): void {
    this.underWay.get(link)?.walk.reached();
    this.underWay.delete(link);
  }

  /** The connection has given the link up before the present address answered. */
  forget(link: Link): void {
    this.underWay.get(link)?.walk.failed();
    this.underWay.delete(link);
  }
}
