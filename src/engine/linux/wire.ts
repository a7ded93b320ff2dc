import type { EndCause, Link, Target, TargetTls, Wire, WireEvents } from '../../connection/wire.ts';
import type { Endpoint } from '../../protocol/proxy-protocol/header.ts';
import { ADDRESS_PATIENCE_MS } from '../address-walks.ts';
import type { HandedLink } from '../handed-sockets.ts';
import { EHOSTUNREACH, errnoName } from './libc.ts';
import type { Owner } from './owner.ts';
import { FIN_WANTED } from './socket-state.ts';
import { countAt, type SocketTable } from './socket-table.ts';
import type { Sockets } from './sockets.ts';
import { WireExtras } from './wire-extras.ts';

/** The wire of one connection: translates link numbers to sockets, and tells the connection what happens at them. */

/** What a wire needs of the loop. */
export interface WireHost {
  readonly waiting: Uint32Array;
  readonly table: SocketTable;
  write(fd: number, bytes: Uint8Array, start: number, end: number): void;
  hold(fd: number, hold: boolean): void;
  /** Looks again whether the socket may be read. */
  resume(fd: number): void;
  splice(device: number, node: number): void;
  /** Begins TLS on a link that has just been connected. */
  secure(fd: number, tls: TargetTls): void;
  /** `finish` sends FIN and still reads; `flush` does too, until it closes; `reset` closes at once. */
  end(fd: number, how: 'finish' | 'flush' | 'reset'): void;
  /**
   * The fd of a connecting link, or a negative errno. When `limitMs` have passed and it still connects, it fails where it
   * has another address to try (`Owner.hasNextAddress`); 0: no limit.
   */
  dial(slot: number, link: Link, target: Target, greets: boolean, limitMs: number): number;
  /** Runs it at once; a fault of it ends this connection. */
  attempt<T>(wire: LinuxWire, run: () => T): T | undefined;
  /** Runs after the connection's present call has returned. */
  later(wire: LinuxWire, run: () => void): void;
  /** For later turns of the loop. */
  readonly turns: { add(wire: LinuxWire, run: () => void): void };
  setTimer(slot: number, ms: number): void;
  readonly sockets: Pick<Sockets, 'localAddress' | 'unsent'>;
  /** Every socket of the connection is closed, unless it dials anew before its present call has returned. */
  done(wire: LinuxWire): void;
}

const NO_FD = -1;
/** The dial failed at once, which is not told before the connection's call has returned. */
const FAILED_FD = -2;

/** What came while a connection stood still is read before its timer, which may ask whether anything has come. */
const THAWED_MS = 200;

/** One connection: its slot, and the fds of its device and links. */
export class LinuxWire implements Wire, Owner {
  readonly slot: number;
  deviceFd: number;
  conversation: WireEvents | undefined;
  private readonly host: WireHost;
  private link: Link = -1;
  private linkFd = NO_FD;
  /** Undefined while it would be empty. */
  private extras: WireExtras | undefined;
  private openSockets = 1;

  constructor(host: WireHost, slot: number, deviceFd: number) {
    this.host = host;
    this.slot = slot;
    this.deviceFd = deviceFd;
  }

  /** Where the device connected to. */
  get destination(): Endpoint | undefined {
    if (this.deviceFd < 0) return undefined;
    const { host, port } = this.host.sockets.localAddress(this.deviceFd);
    return { address: host, port };
  }

  // ---- Wire

  toDevice(bytes: Uint8Array, start: number, end: number): void {
    if (this.deviceFd >= 0) this.host.write(this.deviceFd, bytes, start, end);
  }

  toNode(link: Link, bytes: Uint8Array, start: number, end: number): void {
    const fd = this.fdOf(link);
    if (fd >= 0) this.host.write(fd, bytes, start, end);
  }

  dial(target: Target, greets = false): Link {
    if (this.linkFd !== NO_FD) this.needExtras().keepOlder(this.link, this.linkFd);
    const link = ++this.link;
    const result = this.beginDial(link, target, greets);
    this.openSockets++;
    if (result >= 0 && (target.header !== undefined || target.tls !== undefined))
      this.needExtras().dialled(link, target);
    this.linkFd = result >= 0 ? result : FAILED_FD;
    if (result < 0) {
      this.taskBegins();
      this.host.later(this, () => this.dialFailed(link, errnoName(result)));
    }
    return link;
  }

  private beginDial(link: Link, target: Target, greets: boolean): number {
    if (target.addresses === undefined) return this.host.dial(this.slot, link, target, greets, 0);
    return this.dialAny(link, this.needExtras().beginWalk(link, target), greets) ?? -EHOSTUNREACH;
  }

  /** Dials an address of a node that has several; one that is refused at once gives way to the next. */
  private dialAny(link: Link, first: Target | undefined, greets: boolean): number | undefined {
    let result: number | undefined;
    for (let at = first; at !== undefined; at = this.extras?.walks?.next(link)) {
      const limitMs = this.hasNextAddress(link) ? ADDRESS_PATIENCE_MS : 0;
      result = this.host.dial(this.slot, link, at, greets, limitMs);
      if (result >= 0) return result;
    }
    return result;
  }

  private dialFailed(link: Link, reason: string): void {
    this.taskEnds();
    const cancelled = this.fdOf(link) !== FAILED_FD;
    this.forget(link);
    try {
      if (!cancelled) this.conversation?.linkFailed(link, reason);
    } finally {
      this.socketClosed(); // whatever the connection makes of it, or it would never be over
    }
  }

  splice(link: Link): void {
    const fd = this.fdOf(link);
    if (fd >= 0 && this.deviceFd >= 0) this.host.splice(this.deviceFd, fd);
  }

  isDeviceBehind(): boolean {
    return this.deviceFd >= 0 && this.host.waiting[this.deviceFd] !== 0;
  }

  stillTakes(): boolean {
    const { sockets, table, waiting } = this.host;
    let unsent = 0;
    for (const fd of this.sockets())
      if (fd >= 0 && ((table.flags[fd] as number) & FIN_WANTED) !== 0)
        unsent += (waiting[fd] as number) + sockets.unsent(fd);
    return this.needExtras().takes(unsent);
  }

  holdDevice(hold: boolean): void {
    if (this.deviceFd >= 0) this.host.hold(this.deviceFd, hold);
  }

  holdNode(link: Link, hold: boolean): void {
    const fd = this.fdOf(link);
    if (fd >= 0) this.host.hold(fd, hold);
  }

  nextTurn(task: () => void, link?: Link): void {
    const fd = link === undefined ? NO_FD : this.fdOf(link);
    if (fd >= 0 && this.host.waiting[fd] !== 0) this.needExtras().behind = { fd, task };
    else this.host.turns.add(this, task);
  }

  guard<T>(run: () => T): T | undefined {
    return this.host.attempt(this, run);
  }

  endDevice(how: 'flush' | 'reset'): void {
    const fd = this.deviceFd;
    if (fd < 0) return;
    this.host.end(fd, how);
  }

  finishDevice(): void {
    if (this.deviceFd >= 0) this.host.end(this.deviceFd, 'finish');
  }

  finishNode(link: Link): void {
    const fd = this.fdOf(link);
    if (fd >= 0) this.host.end(fd, 'finish');
  }

  endNode(link: Link, how: 'flush' | 'reset', closed?: () => void): void {
    const fd = this.fdOf(link);
    this.forget(link);
    if (fd < 0 || how === 'reset') closed?.();
    if (fd < 0) return;
    if (this.deviceFd >= 0) this.host.resume(this.deviceFd); // it may have waited for this link to drain
    if (how === 'flush') this.needExtras().linger(fd, closed);
    this.host.end(fd, how);
  }

  numbered(connection: number): void {
    this.host.table.number[this.slot] = connection;
  }

  countAt(place: number): void {
    countAt(this.host.table, this.slot, place);
  }

  setTimer(ms: number): void {
    if (this.extras !== undefined) this.extras.isDue = false;
    if (this.openSockets > 0) this.host.setTimer(this.slot, ms);
  }

  /** It fires for a frozen connection when that is thawed. */
  timer(): void {
    const { extras } = this;
    if (extras?.isFrozen) extras.isDue = true;
    else this.conversation?.timer();
  }

  // ---- handing over

  /** Nothing of the connection is still to be done besides what happens at its sockets. */
  get isIdle(): boolean {
    return (
      this.conversation !== undefined &&
      this.deviceFd >= 0 &&
      !this.extras?.tasks &&
      this.extras?.behind === undefined
    );
  }

  get lastLink(): Link {
    return this.link;
  }

  /** Every open socket: the device's, and behind it those of links. */
  sockets(): number[] {
    const links: number[] = [];
    this.eachLink((fd) => links.push(fd));
    return [this.deviceFd, ...links, ...(this.extras?.lingering?.keys() ?? [])];
  }

  /** Takes the links of another engine's wire. */
  takeLinks(links: readonly HandedLink[], lastLink: Link): void {
    for (const { fd, link, lingerMs } of links) {
      this.openSockets++;
      if (lingerMs > 0) this.needExtras().linger(fd);
      else if (link === lastLink) this.linkFd = fd;
      else this.needExtras().keepOlder(link, fd);
    }
    this.link = lastLink;
  }

  get isFrozen(): boolean {
    return this.extras?.isFrozen ?? false;
  }

  freeze(): void {
    this.needExtras().isFrozen = true;
  }

  thaw(): void {
    const { extras } = this;
    if (extras === undefined) return;
    extras.isFrozen = false;
    if (extras.isDue) this.setTimer(THAWED_MS);
    this.tidy();
  }

  // ---- Owner

  deviceData(bytes: Uint8Array, start: number, end: number): void {
    this.conversation?.deviceData(bytes, start, end);
  }

  linkData(link: Link, bytes: Uint8Array, start: number, end: number): void {
    this.conversation?.linkData(link, bytes, start, end);
  }

  deviceEnded(cause: EndCause): void {
    this.conversation?.deviceEnded(cause);
  }

  linkEnded(link: Link, cause: EndCause): void {
    if (cause !== 'fin') this.forget(link);
    this.conversation?.linkEnded(link, cause);
  }

  linkOpened(link: Link): void {
    const { header, tls } = this.extras?.opened(link) ?? {};
    this.tidy();
    if (header !== undefined) this.toNode(link, header, 0, header.length);
    if (tls === undefined) this.conversation?.linkOpened(link);
    else this.host.secure(this.fdOf(link), tls);
  }

  linkSecured(link: Link): void {
    this.conversation?.linkOpened(link);
  }

  linkFailed(link: Link, reason: string): void {
    const walks = this.extras?.walks;
    const next = walks === undefined ? undefined : this.dialAny(link, walks.next(link), false);
    if (next !== undefined && next >= 0) {
      this.openSockets++;
      if (link === this.link) this.linkFd = next;
      else this.extras?.older?.set(link, next);
      return;
    }
    this.forget(link);
    this.conversation?.linkFailed(link, next === undefined ? reason : errnoName(next));
  }

  linkDrained(fd: number): void {
    const { extras } = this;
    if (extras?.behind?.fd !== fd) return;
    this.host.turns.add(this, extras.behind.task);
    extras.behind = undefined;
    this.tidy();
  }

  hasNextAddress(link: Link): boolean {
    return this.extras?.walks?.has(link) === true;
  }

  socketClosed(fd = NO_FD): void {
    if (fd >= 0) {
      this.linkDrained(fd);
      if (fd === this.deviceFd) this.deviceFd = NO_FD;
      else if (fd === this.linkFd) this.linkFd = NO_FD;
      else this.extras?.closed(fd);
      this.tidy();
    }
    if (--this.openSockets === 0) this.host.done(this);
    else this.resumeOthers(); // they may have waited for this one to drain
  }

  private resumeOthers(): void {
    if (this.deviceFd >= 0) this.host.resume(this.deviceFd);
    if (this.extras?.older !== undefined) this.eachLink((fd) => this.host.resume(fd));
    else if (this.linkFd >= 0) this.host.resume(this.linkFd); // no closure for nearly every connection
  }

  tellClosed(): void {
    const { fromDevice, toDevice } = this.host.table;
    this.conversation?.closed(fromDevice[this.slot] as number, toDevice[this.slot] as number);
  }

  /** Every socket is closed: `done` was said, and no link was dialled since. */
  get isOver(): boolean {
    return this.openSockets === 0;
  }

  linksWaiting(): boolean {
    const { waiting } = this.host;
    if (this.linkFd >= 0 && waiting[this.linkFd] !== 0) return true;
    const older = this.extras?.older;
    if (older !== undefined) for (const fd of older.values()) if (fd >= 0 && waiting[fd] !== 0) return true;
    return false;
  }

  eachLink(each: (fd: number) => void): void {
    if (this.linkFd >= 0) each(this.linkFd);
    const older = this.extras?.older;
    if (older !== undefined) for (const fd of older.values()) if (fd >= 0) each(fd);
  }

  /** Resets every socket at once; `closed` is told as ever. */
  abort(): void {
    this.eachLink((fd) => this.host.end(fd, 'reset'));
    if (this.linkFd === FAILED_FD) this.linkFd = NO_FD;
    this.endDevice('reset');
  }

  // ---- links

  private fdOf(link: Link): number {
    return link === this.link ? this.linkFd : (this.extras?.older?.get(link) ?? NO_FD);
  }

  private forget(link: Link): void {
    this.linkDrained(this.fdOf(link)); // nothing will go to it
    if (link === this.link) this.linkFd = NO_FD;
    this.extras?.forget(link);
    this.tidy();
  }

  /** A task of the connection is still to run, or a failure still to be told. */
  taskBegins(): void {
    this.needExtras().tasks++;
  }

  taskEnds(): void {
    this.needExtras().tasks--;
    this.tidy();
  }

  private needExtras(): WireExtras {
    this.extras ??= new WireExtras();
    return this.extras;
  }

  private tidy(): void {
    if (this.extras?.isEmpty) this.extras = undefined;
  }
}
