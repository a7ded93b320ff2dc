import { EAGAIN, EPOLLIN } from '../../src/engine/epoll/libc.ts';
import { CONNACK_BYTES, type Packets } from './mqtt.ts';
import type { Address, Role, Station } from './station.ts';

/** Stands for the broker: answers the first bytes with CONNACK, then swallows the rest, or sends it back. */
export class Sink implements Role {
  bytes = 0;
  private readonly station: Station;
  private readonly packets: Packets;
  private readonly echo: boolean;
  private readonly greeted = new Uint8Array(20_000);

  constructor(station: Station, packets: Packets, at: Address, echo: boolean) {
    this.station = station;
    this.packets = packets;
    this.echo = echo;
    station.listen(at, this);
  }

  event(fd: number, mask: number): void {
    if ((mask & EPOLLIN) === 0) return;
    const got = this.station.receive(fd);
    if (got <= 0) {
      if (got === -EAGAIN) return;
      this.greeted[fd] = 0;
      this.station.close(fd);
    } else if (this.greeted[fd] === 0) {
      this.greeted[fd] = 1;
      this.station.send(fd, this.packets.connack, CONNACK_BYTES);
    } else {
      this.bytes += got;
      if (this.echo) this.station.send(fd, this.station.scratch, got);
    }
  }
}
