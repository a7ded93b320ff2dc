import { BreakwaterError } from '../../base/errors.ts';
import type { Wire, WireEvents } from '../../connection/wire.ts';
import type { HandedLink, HandedSocket, HandedSockets } from '../handed-sockets.ts';
import type { Libc } from './libc.ts';
import * as is from './socket-state.ts';
import type { SocketTable } from './socket-table.ts';
import type { Sockets } from './sockets.ts';
import type { Streams } from './streams.ts';
import type { TimerWheel } from './timer-wheel.ts';
import type { TlsSessions } from './tls-sessions.ts';
import type { LinuxWire } from './wire.ts';

/** Hands connections over: freezes and describes their sockets, and goes on with those that another engine has described. */

/** A socket in such a state is in the middle of something that only this engine knows of. */
const UNSTEADY = is.CONNECTING | is.HANDSHAKING | is.ERRED | is.BROKEN | is.UNWATCHED | is.FROZEN;

/** What is needed of the loop. */
interface HandOverHost {
  readonly table: SocketTable;
  readonly sockets: Sockets;
  readonly streams: Streams;
  readonly wheel: TimerWheel;
  readonly tls: TlsSessions;
  now(): number;
  newWire(deviceFd: number): LinuxWire;
}

/**
 * Hands connections over. Until ours of the duplicates of a descriptor is closed, the connection is whole here, and can be
 * thawed; closed then, it says nothing to the peer, because another is open.
 */
export class HandOver {
  private readonly libc: Libc;
  private readonly host: HandOverHost;

  constructor(libc: Libc, host: HandOverHost) {
    this.libc = libc;
    this.host = host;
  }

  // ---- giving

  freeze(wire: LinuxWire): HandedSockets | undefined {
    const { freezer } = this.host.streams;
    if (!wire.isIdle) return undefined;
    const fds = wire.sockets();
    // What was under way may have failed.
    if (!this.areSteady(fds) || !freezer.settle(fds) || !this.areSteady(fds)) return undefined;
    for (const fd of fds) freezer.freeze(fd);
    wire.freeze();
    return this.describe(wire, fds);
  }

  private areSteady(fds: readonly number[]): boolean {
    return fds.every((fd) => this.isSteady(fd));
  }

  private isSteady(fd: number): boolean {
    const { table, tls } = this.host;
    const flags = table.flags[fd] as number;
    const isEnding = (flags & (is.DEVICE | is.DETACHED)) === (is.DEVICE | is.DETACHED);
    if ((flags & UNSTEADY) !== 0 || isEnding) return false;
    return (flags & is.TLS) === 0 || tls.travels(fd);
  }

  private describe(wire: LinuxWire, [device, ...links]: readonly number[]): HandedSockets {
    const { slot } = wire;
    const { table, wheel } = this.host;
    return {
      device: this.socket(device as number),
      links: links.map((fd) => this.link(fd)).sort((a, b) => a.link - b.link),
      lastLink: wire.lastLink,
      number: table.number[slot] as number,
      fromDevice: table.fromDevice[slot] as number,
      toDevice: table.toDevice[slot] as number,
      isCounted: table.place[slot] !== 0,
      timerMs: wheel.leftMs(slot, this.host.now()),
    };
  }

  private socket(fd: number): HandedSocket {
    const { table, tls, streams } = this.host;
    const flags = table.flags[fd] as number;
    const isWanted = (flags & is.FIN_WANTED) !== 0;
    return {
      fd,
      tls: tls.describe(fd),
      unread: streams.reader.unreadOf(fd),
      waiting: streams.writer.waitingOf(fd),
      hasEnded: (flags & is.EOF) !== 0,
      fin: (flags & is.FIN_SENT) !== 0 ? 'sent' : isWanted ? 'wanted' : 'none',
      isHeld: (flags & is.HELD) !== 0,
    };
  }

  private link(fd: number): HandedLink {
    const { table, wheel } = this.host;
    const flags = table.flags[fd] as number;
    const isLeft = (flags & is.DETACHED) !== 0;
    return {
      ...this.socket(fd),
      link: table.link[fd] as number,
      isSpliced: (flags & is.SPLICED) !== 0,
      lingerMs: isLeft ? Math.max(1, wheel.leftMs(table.capacity + fd, this.host.now())) : 0,
    };
  }

  thaw(wire: LinuxWire): void {
    if (!wire.isFrozen) throw new Error('it is not frozen');
    const { streams } = this.host;
    wire.thaw();
    for (const fd of wire.sockets()) {
      const added = streams.freezer.thaw(fd);
      if (added < 0) streams.sendFailed(fd, added);
      else streams.ready.add(fd);
    }
  }

  depart(wire: LinuxWire): void {
    if (!wire.isFrozen) throw new Error('it is not frozen');
    wire.conversation = undefined;
    for (const fd of wire.sockets()) this.host.streams.close(fd);
  }

  // ---- taking

  adopt(handed: HandedSockets, begin: (wire: Wire) => WireEvents): LinuxWire {
    const all = [handed.device, ...handed.links];
    this.checkDescriptors(all.map((socket) => socket.fd));
    const wire = this.enter(handed);
    try {
      for (const socket of all) this.attachTls(socket);
      wire.conversation = this.begin(wire, handed, begin);
    } catch (error) {
      for (const { fd } of all) this.host.streams.forget(fd);
      throw error;
    }
    for (const { fd, tls } of all) {
      this.libc.take(fd, true);
      tls?.fill(0);
    }
    return wire;
  }

  private attachTls({ fd, tls }: HandedSocket): void {
    if (tls === undefined || this.host.tls.attach(fd, tls)) return;
    throw refused('its TLS cannot be gone on with here, by this version, or this OpenSSL');
  }

  private checkDescriptors(fds: readonly number[]): void {
    const { capacity, slot } = this.host.table;
    for (const [at, fd] of fds.entries()) {
      if (fd >= capacity) throw refused(`descriptor ${fd} is above its limit of ${capacity} open files`);
      if (slot[fd] !== 0 || fds.indexOf(fd) !== at)
        throw refused(`descriptor ${fd} has a connection already`);
    }
  }

  /** Its sockets come into the table, and what waits at them to where it waits. */
  private enter({ device, links, lastLink }: HandedSockets): LinuxWire {
    const { host } = this;
    const { capacity } = host.table;
    const wire = host.newWire(device.fd);
    wire.freeze();
    this.enterSocket(wire, device, is.DEVICE, -1);
    for (const socket of links) {
      const { fd, link, lingerMs } = socket;
      this.enterSocket(wire, socket, lingerMs > 0 ? is.DETACHED : 0, link);
      host.sockets.setNoDelay(fd);
      if (lingerMs > 0) host.wheel.set(capacity + fd, lingerMs, host.now());
      else host.sockets.watchPeer(fd);
    }
    wire.takeLinks(links, lastLink);
    const spliced = links.find((link) => link.isSpliced);
    if (spliced !== undefined) host.streams.splice(device.fd, spliced.fd);
    return wire;
  }

  private enterSocket(wire: LinuxWire, socket: HandedSocket, kind: number, link: number): void {
    const { table, streams } = this.host;
    const { fd, hasEnded, fin, isHeld, unread, waiting } = socket;
    let bits = kind;
    if (isHeld) bits |= is.HELD;
    if (hasEnded) bits |= is.EOF;
    if (fin !== 'none') bits |= is.FIN_WANTED;
    if (fin === 'sent') bits |= is.FIN_SENT;
    table.states.enterFrozen(fd, bits);
    streams.intake.enter(fd, wire.slot, link);
    streams.reader.keep(fd, unread);
    streams.writer.keep(fd, waiting);
  }

  private begin(wire: LinuxWire, handed: HandedSockets, begin: (wire: Wire) => WireEvents): WireEvents {
    const { table } = this.host;
    const { slot } = wire;
    table.number[slot] = handed.number;
    table.fromDevice[slot] = handed.fromDevice;
    table.toDevice[slot] = handed.toDevice;
    if (handed.timerMs > 0) wire.setTimer(handed.timerMs);
    // What was counted once is not counted again: a place that is none, until `begin` has given one.
    table.place[slot] = handed.isCounted ? -1 : 0;
    const conversation = begin(wire);
    if (table.place[slot] === -1) table.place[slot] = 0;
    return conversation;
  }
}

function refused(why: string): BreakwaterError {
  return new BreakwaterError('UPGRADE_REFUSED', `a connection cannot be taken over: ${why}`);
}
