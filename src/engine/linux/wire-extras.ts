import type { Link, Target } from '../../connection/wire.ts';
import { AddressWalks } from '../address-walks.ts';

/** What a wire has besides its device and one open link. Hardly any wire has it for long, and there are very many wires. */
export class WireExtras {
  /** Links before the newest that are still open, with their fds. */
  older: Map<Link, number> | undefined;
  /** What goes first on links that are not open yet: a header, or a TLS handshake. */
  private preludes: Map<Link, Target> | undefined;
  /** Links that are dialled to a node of several addresses. */
  walks: AddressWalks | undefined;
  /** What goes on when nothing waits for that socket any more. */
  behind: { readonly fd: number; readonly task: () => void } | undefined;
  /** Sockets that the connection has left, and that are not closed yet, with who wants to know when they are. */
  lingering: Map<number, (() => void) | undefined> | undefined;
  /** So many tasks of the connection are still to run, or failures still to be told. */
  tasks = 0;
  isFrozen = false;
  /** The timer has fired while the connection was frozen. */
  isDue = false;
  /** What sides that were ended had not taken when that was asked last. */
  private unsent = 0;

  get isEmpty(): boolean {
    const { older, preludes, walks, behind, lingering, tasks, isFrozen, unsent } = this;
    if (tasks > 0 || isFrozen || unsent > 0) return false;
    return !older?.size && !preludes?.size && !walks?.size && behind === undefined && !lingering?.size;
  }

  /** Whether any of it was taken since, where so much is not. */
  takes(unsent: number): boolean {
    const before = this.unsent;
    this.unsent = unsent;
    return unsent > 0 && unsent !== before;
  }

  keepOlder(link: Link, fd: number): void {
    this.older ??= new Map();
    this.older.set(link, fd);
  }

  linger(fd: number, closed?: () => void): void {
    this.lingering ??= new Map();
    this.lingering.set(fd, closed);
  }

  /** A socket is closed that is neither the device's nor of the newest link. */
  closed(fd: number): void {
    const { older, lingering } = this;
    for (const [link, other] of older ?? []) if (other === fd) return void older?.delete(link);
    const told = lingering?.get(fd);
    lingering?.delete(fd);
    told?.();
  }

  /** `target` has a header or TLS. */
  dialled(link: Link, target: Target): void {
    this.preludes ??= new Map();
    this.preludes.set(link, target);
  }

  /** The target at the address that is dialled first. */
  beginWalk(link: Link, target: Target): Target {
    this.walks ??= new AddressWalks();
    return this.walks.begin(link, target);
  }

  /** TCP is there. Returns what `dialled` was told. */
  opened(link: Link): Target | undefined {
    const { preludes } = this;
    this.walks?.reached(link);
    const target = preludes?.get(link);
    preludes?.delete(link);
    return target;
  }

  forget(link: Link): void {
    this.older?.delete(link);
    this.preludes?.delete(link);
    this.walks?.forget(link);
  }
}
