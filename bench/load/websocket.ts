import { EAGAIN, EPOLLIN, EPOLLOUT, type Libc, type Pinned } from '../../src/engine/linux/libc.ts';
import { type Figures, idleBytes, measured, type Task } from './measures.ts';
import { CONNACK_BYTES, createPackets, MESSAGE_BYTES } from './mqtt.ts';
import { type Address, MAX_FD, type Role, Station } from './station.ts';

/** The load of the WebSocket measure: devices, and a sink that takes what a proxy passes on, be it frames or MQTT. */
const REQUEST = [
  'GET /mqtt HTTP/1.1',
  ...['Host: bench', 'Upgrade: websocket', 'Connection: Upgrade', 'Sec-WebSocket-Version: 13'],
  ...['Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==', 'Sec-WebSocket-Protocol: mqtt', '', ''],
].join('\r\n');
const SWITCHING = [
  'HTTP/1.1 101 Switching Protocols',
  ...['Upgrade: websocket', 'Connection: Upgrade', 'Sec-WebSocket-Protocol: mqtt'],
  ...['Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=', '', ''],
].join('\r\n');
const KEY = [0x37, 0xfa, 0x21, 0x3d];
/** Of a device's frame, and of one to a device (RFC 6455, 5.2); both of less than 126 bytes. */
const MASKED_HEADER = 6;
const HEADER = 2;
const BATCH = 16;

function text(libc: Libc, content: string): Pinned {
  const pinned = libc.pin(content.length);
  pinned.bytes.write(content, 'latin1');
  return pinned;
}

function masked(libc: Libc, payload: Uint8Array): Pinned {
  const pinned = libc.pin(MASKED_HEADER + payload.length);
  pinned.bytes.set([0x82, 0x80 | payload.length, ...KEY]);
  pinned.bytes.set(
    payload.map((byte, i) => byte ^ (KEY[i % 4] as number)),
    MASKED_HEADER,
  );
  return pinned;
}

/** The same frame so many times, as many as one read may ask for. */
function unmasked(libc: Libc, payload: Uint8Array, times: number): Pinned {
  const pinned = libc.pin((HEADER + payload.length) * times);
  for (let i = 0; i < times; i++) {
    pinned.bytes.set([0x82, payload.length, ...payload], i * (HEADER + payload.length));
  }
  return pinned;
}

const NEW = 0;
const UPGRADED = 1;
const FRAMES = 2;
const PLAIN = 3;
const PINGREQ = 0xc0;

class Sink implements Role {
  private readonly station: Station;
  private readonly switching: Pinned;
  private readonly connack: Pinned;
  private readonly pingresp: Pinned;
  private readonly connackFrame: Pinned;
  private readonly publishFrames: Pinned;
  private readonly phase = new Uint8Array(MAX_FD);

  constructor(station: Station, packets: ReturnType<typeof createPackets>) {
    const { libc } = station;
    this.station = station;
    this.switching = text(libc, SWITCHING);
    this.connack = packets.connack;
    this.pingresp = packets.pingresp;
    this.connackFrame = unmasked(libc, packets.connack.bytes, 1);
    this.publishFrames = unmasked(libc, packets.publish.bytes, BATCH);
  }

  event(fd: number, mask: number): void {
    if ((mask & EPOLLIN) === 0) return;
    const { station } = this;
    const got = station.receive(fd);
    if (got === -EAGAIN) return;
    if (got <= 0) {
      this.phase[fd] = NEW;
      station.close(fd);
    } else if (this.phase[fd] === PLAIN) this.echo(fd, got);
    else if (this.phase[fd] === FRAMES) this.echoFrames(fd, got);
    else this.greet(fd);
  }

  /** A PINGREQ is the proxy's; it may come before one of the device's packets, or behind it. */
  private echo(fd: number, got: number): void {
    const { station } = this;
    const { bytes, address } = station.scratch;
    for (let at = 0; at < got; ) {
      const isPing = bytes[at] === PINGREQ;
      if (isPing) station.send(fd, this.pingresp, 2);
      else station.send(fd, { bytes, address: address + at }, Math.min(MESSAGE_BYTES, got - at));
      at += isPing ? 2 : MESSAGE_BYTES;
    }
  }

  private greet(fd: number): void {
    const { station, phase } = this;
    if (phase[fd] === UPGRADED) {
      phase[fd] = FRAMES;
      station.send(fd, this.connackFrame, HEADER + CONNACK_BYTES);
    } else if (station.scratch.bytes[0] === REQUEST.charCodeAt(0)) {
      phase[fd] = UPGRADED;
      station.send(fd, this.switching, SWITCHING.length);
    } else {
      phase[fd] = PLAIN;
      station.send(fd, this.connack, CONNACK_BYTES);
    }
  }

  private echoFrames(fd: number, got: number): void {
    const frames = got / (MASKED_HEADER + MESSAGE_BYTES);
    if (!Number.isInteger(frames) || frames > BATCH) throw new Error('frames arrived in pieces');
    this.station.send(fd, this.publishFrames, frames * (HEADER + MESSAGE_BYTES));
  }
}

const REQUESTED = 1;
const GREETED = 2;
const SERVED = 3;

/** Devices that ask for the upgrade, greet, and then tell of every arrival. */
class Devices implements Role {
  served = 0;
  onServed: (fd: number) => void = () => undefined;
  onBytes: (fd: number, bytes: number) => void = () => undefined;
  private readonly station: Station;
  private readonly packets: ReturnType<typeof createPackets>;
  private readonly request: Pinned;
  private readonly phase = new Uint8Array(MAX_FD);

  constructor(station: Station, packets: ReturnType<typeof createPackets>) {
    this.station = station;
    this.packets = packets;
    this.request = text(station.libc, REQUEST);
  }

  event(fd: number, mask: number): void {
    const { station, phase } = this;
    if (phase[fd] === NEW && (mask & EPOLLOUT) !== 0) {
      phase[fd] = REQUESTED;
      station.send(fd, this.request, REQUEST.length);
    }
    if ((mask & EPOLLIN) === 0) return;
    const got = station.receive(fd);
    if (got === -EAGAIN) return;
    if (got <= 0) throw new Error('a device was turned away');
    if (phase[fd] === SERVED) this.onBytes(fd, got);
    else if (phase[fd] === GREETED) {
      phase[fd] = SERVED;
      this.served++;
      this.onServed(fd);
    } else {
      phase[fd] = GREETED;
      const connect = masked(station.libc, this.packets.connect().bytes);
      station.send(fd, connect, connect.bytes.length);
    }
  }

  /** Opens so many, a bounded number at a time. */
  open(count: number, to: Address, atOnce = 100): void {
    const whole = this.served + count;
    let dialled = this.served;
    for (const end = performance.now() + 60_000; this.served < whole; this.station.turn(10)) {
      for (; dialled < whole && dialled - this.served < atOnce; dialled++) this.station.dial(to, this);
      if (performance.now() > end) throw new Error(`${this.served} of ${whole} devices connected`);
    }
  }
}

function prepare(task: Task) {
  const station = new Station();
  const packets = createPackets(station.libc);
  station.listen(task.sink, new Sink(station, packets));
  return { station, packets, devices: new Devices(station, packets) };
}

/** Every device sends its next message when the last has come back. */
export function wsEcho(task: Task): Figures {
  const { station, packets, devices } = prepare(task);
  const publish = masked(station.libc, packets.publish.bytes);
  const send = (fd: number): void => station.send(fd, publish, publish.bytes.length);
  let trips = 0;
  devices.onServed = send;
  devices.onBytes = (fd, bytes) => {
    if (bytes !== HEADER + MESSAGE_BYTES) throw new Error('a message arrived in pieces');
    trips++;
    send(fd);
  };
  devices.open(task.connections, task.proxy);
  const window = measured(
    task,
    () => station.turn(1),
    () => {
      trips = 0;
    },
  );
  return {
    tripsPerSecond: trips / window.seconds,
    cpuUsPerTrip: window.cpuUs / trips,
  };
}

/** What does a connected device that says nothing cost in resident memory? */
export function wsIdle(task: Task): Figures {
  const { station, devices } = prepare(task);
  return idleBytes(task, station, (count) => devices.open(count, task.proxy));
}
