import { EPOLLERR, EPOLLHUP, EPOLLIN, EPOLLOUT } from '../../src/engine/linux/libc.ts';
import type { Packets } from './mqtt.ts';
import { type Address, MAX_FD, type Role, type Station } from './station.ts';

const NEW = 0;
const WAITING = 1;
const CONNECTED = 2;

/** Devices that connect, greet, and then tell of every arrival. */
export class Devices implements Role {
  readonly fds: number[] = [];
  failed = 0;
  onConnected: (fd: number) => void = (fd) => void this.fds.push(fd);
  onBytes: (fd: number, bytes: number) => void = () => undefined;
  /** The path takes bytes again, once it did not. */
  onWritable: (fd: number) => void = () => undefined;
  private readonly station: Station;
  private readonly packets: Packets;
  private readonly proxy: Address;
  private readonly phase = new Uint8Array(MAX_FD);

  constructor(station: Station, packets: Packets, proxy: Address) {
    this.station = station;
    this.packets = packets;
    this.proxy = proxy;
  }

  dial(): void {
    this.phase[this.station.dial(this.proxy, this)] = NEW;
  }

  event(fd: number, mask: number): void {
    if ((mask & (EPOLLERR | EPOLLHUP)) !== 0) return this.lost(fd);
    if (this.phase[fd] === NEW && (mask & EPOLLOUT) !== 0) {
      this.phase[fd] = WAITING;
      const packet = this.packets.connect();
      this.station.send(fd, packet, packet.bytes.length);
    }
    if (this.phase[fd] === CONNECTED && (mask & EPOLLOUT) !== 0) this.onWritable(fd);
    if ((mask & EPOLLIN) === 0) return;
    const got = this.station.receive(fd);
    if (got === 0) this.lost(fd);
    if (got <= 0) return;
    if (this.phase[fd] === CONNECTED) return this.onBytes(fd, got);
    this.phase[fd] = CONNECTED;
    this.onConnected(fd);
  }

  private lost(fd: number): void {
    this.failed++;
    this.station.close(fd);
  }

  /** Opens so many more, a bounded number at a time. */
  open(count: number, atOnce = 100): void {
    const whole = this.fds.length + count;
    let dialled = this.fds.length;
    const deadline = performance.now() + 60_000;
    while (this.fds.length < whole) {
      while (dialled < whole && dialled - this.fds.length < atOnce) {
        this.dial();
        dialled++;
      }
      this.station.turn(100);
      if (this.failed > 0) throw new Error(`${this.failed} devices were turned away`);
      if (performance.now() > deadline) throw new Error(`${this.fds.length} of ${whole} devices connected`);
    }
  }
}
