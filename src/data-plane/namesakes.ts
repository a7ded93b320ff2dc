/** What this list needs of a connection. */
interface Namesake {
  readonly route: { readonly name: string } | undefined;
  readonly acceptedAtMs: number;
  readonly who: number;
  superseded(isSame: boolean): void;
}

/**
 * The connections of one client id where there are several: of unrelated pools, of devices that their broker tells apart
 * by something else, or for the moment of a takeover. Each operation costs the same however many there are.
 */
export class Namesakes<T extends Namesake> implements Iterable<T> {
  private readonly members = new Set<T>();
  /** By pool, and by pool and device; all older ones are marked already. */
  private readonly newestIn = new Map<string, T>();
  private readonly newestAs = new Map<string, T>();

  constructor(first: T, second: T) {
    this.add(first);
    this.accepted(first);
    this.add(second);
  }

  [Symbol.iterator](): Iterator<T> {
    return this.members.values();
  }

  get isEmpty(): boolean {
    return this.members.size === 0;
  }

  add(member: T): void {
    this.members.add(member);
  }

  /** A member is the newest now. */
  accepted(member: T): void {
    const { route, acceptedAtMs, who } = member;
    if (route === undefined || acceptedAtMs === 0) return;
    this.newestIn.set(route.name, member);
    this.newestAs.set(deviceKey(route.name, who), member);
  }

  /** A member that was accepted in another process, at the time that it bears: one that is here may be newer, and marks it. */
  revived(member: T): void {
    const { route, acceptedAtMs, who } = member;
    if (route === undefined || acceptedAtMs === 0) return;
    const isNewer = (known: T | undefined): boolean => (known?.acceptedAtMs ?? 0) > acceptedAtMs;
    const key = deviceKey(route.name, who);
    if (isNewer(this.newestAs.get(key))) return member.superseded(true);
    this.newestAs.set(key, member);
    if (isNewer(this.newestIn.get(route.name))) return member.superseded(false);
    this.newestIn.set(route.name, member);
  }

  /** Marks what was accepted until then. Returns whether there was any. */
  supersede(pool: string, who: number, sinceMs: number): boolean {
    const same = this.newestAs.get(deviceKey(pool, who));
    const hasSame = same !== undefined && same.acceptedAtMs <= sinceMs;
    if (hasSame) same.superseded(true);
    const other = this.newestIn.get(pool);
    const hasOther = other !== undefined && other !== same && other.acceptedAtMs <= sinceMs;
    if (hasOther) other.superseded(false);
    return hasSame || hasOther;
  }

  /** True when it was the newest of its pool. */
  delete(member: T): boolean {
    this.members.delete(member);
    const pool = member.route?.name ?? '';
    const key = deviceKey(pool, member.who);
    if (this.newestAs.get(key) === member) this.newestAs.delete(key);
    return this.newestIn.get(pool) === member && this.newestIn.delete(pool);
  }
}

function deviceKey(pool: string, who: number): string {
  return `${who} ${pool}`;
}
