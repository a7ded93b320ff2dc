import { EAGAIN, EPOLLIN } from '../../src/engine/linux/libc.ts';
import { ACK_BYTES, CONNACK_BYTES, MESSAGE_BYTES, type Packets, QOS1_ID_AT } from './mqtt.ts';
import { type Address, MAX_FD, type Role, type Station } from './station.ts';

const PINGREQ = 0xc0;
const SUBSCRIBE = 0x82;
const PUBLISH_QOS1 = 0x32;

/**
 * Stands for the broker: answers the first bytes with CONNACK, then swallows the rest, sends it back, sends it to everyone,
 * or answers the few packets that the load sends as a broker would.
 */
export type AttemptOptions = 'swallow' | 'echo' | 'everyone' | 'broker';

export class Sink implements Role {
  bytes = 0;
  /** Of what is swallowed: so many bytes have come, which are in `station.scratch`. */
  onBytes: (got: number) => void = () => undefined;
  /** Those that were greeted. */
  private readonly links = new Set<number>();
  private readonly station: Station;
  private readonly packets: Packets;
  private readonly manner: AttemptOptions;
  private readonly greeted = new Uint8Array(MAX_FD);

  constructor(station: Station, packets: Packets, at: Address, manner: AttemptOptions) {
    this.station = station;
    this.packets = packets;
    this.manner = manner;
    station.listen(at, this);
  }

  event(fd: number, mask: number): void {
    if ((mask & EPOLLIN) === 0) return;
    const most = this.station.scratch.bytes.length;
    while (this.read(fd) === most); // nothing tells again of what is left
  }

  /** What one read brought: so many bytes, or 0 and less where there is nothing more. */
  private read(fd: number): number {
    const got = this.station.receive(fd);
    if (got <= 0) {
      if (got === -EAGAIN) return got;
      this.greeted[fd] = 0;
      this.links.delete(fd);
      this.station.close(fd);
    } else if (this.greeted[fd] === 0) {
      this.greeted[fd] = 1;
      this.links.add(fd);
      this.station.send(fd, this.packets.connack, CONNACK_BYTES);
    } else {
      this.bytes += got;
      if (this.manner === 'swallow') this.onBytes(got);
      if (this.manner === 'echo') this.station.send(fd, this.station.scratch, got);
      if (this.manner === 'everyone')
        for (const link of this.links) this.station.send(link, this.station.scratch, got);
      if (this.manner === 'broker') this.answer(fd, got);
    }
    return got;
  }

  private answer(fd: number, got: number): void {
    const { station, packets } = this;
    const { bytes } = station.scratch;
    switch (bytes[0]) {
      case PINGREQ: // of the proxy; one of the device's packets may be right behind it
        station.send(fd, packets.pingresp, 2);
        if (got === 2) return;
        bytes.copyWithin(0, 2, got);
        return this.answer(fd, got - 2);
      case SUBSCRIBE:
        packets.suback.bytes.set(bytes.subarray(2, 4), 2);
        return station.send(fd, packets.suback, packets.suback.bytes.length);
      case PUBLISH_QOS1:
        this.acknowledge(fd, got);
    }
  }

  /** Whole messages, and a PINGREQ of the proxy's before any of them, or behind the last one. */
  private acknowledge(fd: number, got: number): void {
    const { station, packets } = this;
    const { bytes } = station.scratch;
    let at = 0;
    while (at < got) {
      if (bytes[at] === PINGREQ) {
        station.send(fd, packets.pingresp, 2);
        at += 2;
        continue;
      }
      packets.puback.bytes.set(bytes.subarray(at + QOS1_ID_AT, at + QOS1_ID_AT + 2), 2);
      station.send(fd, packets.puback, ACK_BYTES);
      at += MESSAGE_BYTES;
    }
    if (at !== got) throw new Error('a message arrived in pieces');
  }
}
