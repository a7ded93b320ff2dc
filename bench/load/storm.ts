import { EPOLLERR, EPOLLHUP, EPOLLIN, EPOLLOUT } from '../../src/engine/linux/libc.ts';
import type { Figures, Task } from './measures.ts';
import { CONNACK_BYTES, createPackets, type Packets } from './mqtt.ts';
import { Sink } from './sink.ts';
import { MAX_FD, type Role, Station } from './station.ts';

/** Where CONNACK has its return code: a few of the refused are told why. */
const CODE_AT = 3;

/** A reset that came before anything else, and the end of a connection that was taken. */
type Outcome = (fd: number, served: boolean) => void;

/** Connects at a rate from one address: TCP, CONNECT, CONNACK, reset. */
class Source implements Role {
  inFlight = 0;
  dialled = 0;
  private readonly station: Station;
  private readonly packets: Packets;
  private readonly task: Task;
  private readonly outcome: Outcome;
  private readonly greeted = new Uint8Array(MAX_FD);

  constructor(station: Station, packets: Packets, task: Task, outcome: Outcome) {
    this.station = station;
    this.packets = packets;
    this.task = task;
    this.outcome = outcome;
  }

  /** Dials what is due, but never more than `connections` at one time. Returns the fds. */
  *dialDue(elapsedMs: number): Generator<number> {
    const due = (elapsedMs / 1000) * this.task.ratePerSecond;
    for (; this.dialled < due && this.inFlight < this.task.connections; this.inFlight++) {
      const fd = this.station.dial(this.task.proxy, this, this.task.from);
      this.dialled++;
      this.greeted[fd] = 0;
      yield fd;
    }
  }

  event(fd: number, mask: number): void {
    if ((mask & (EPOLLERR | EPOLLHUP)) !== 0) return this.done(fd, false);
    if (this.greeted[fd] === 0 && (mask & EPOLLOUT) !== 0) {
      this.greeted[fd] = 1;
      const packet = this.packets.connect();
      this.station.libc.send(fd, packet.address, packet.bytes.length, 0x4000); // refused already, perhaps
    }
    if ((mask & EPOLLIN) === 0) return;
    const { scratch } = this.station;
    this.done(fd, this.station.receive(fd) >= CONNACK_BYTES && scratch.bytes[CODE_AT] === 0);
  }

  private done(fd: number, served: boolean): void {
    this.inFlight--;
    this.station.reset(fd);
    this.outcome(fd, served);
  }
}

/** As many connects as one source can offer. What becomes of them? */
export function storm(task: Task): Figures {
  const station = new Station();
  let served = 0;
  let refused = 0;
  const source = new Source(station, createPackets(station.libc), task, (_, wasServed) => {
    if (wasServed) served++;
    else refused++;
  });
  const startMs = performance.now();
  let elapsedMs = 0;
  for (; elapsedMs < task.windowMs; elapsedMs = performance.now() - startMs) {
    for (const _ of source.dialDue(elapsedMs));
    station.turn(source.inFlight < task.connections ? 0 : 1);
  }
  const perSecond = (count: number): number => (count / elapsedMs) * 1000;
  return {
    offeredPerSecond: perSecond(served + refused),
    servedPerSecond: perSecond(served),
    refusedPerSecond: perSecond(refused),
  };
}

/** Connects at a calm rate from another address, through to the broker: how long does each take? */
export function calmConnects(task: Task): Figures {
  const station = new Station();
  const packets = createPackets(station.libc);
  new Sink(station, packets, task.sink, 'swallow');
  const latenciesMs: number[] = [];
  const dueAtMs = new Float64Array(MAX_FD);
  let failed = 0;
  const startMs = performance.now();
  const source = new Source(station, packets, task, (fd, served) => {
    const tookMs = performance.now() - (dueAtMs[fd] as number);
    if (!served) failed++;
    latenciesMs.push(tookMs);
  });
  for (let nowMs = startMs; nowMs - startMs < task.windowMs; nowMs = performance.now()) {
    for (const fd of source.dialDue(nowMs - startMs)) {
      // Timed from when it was due, so that a load that was kept from dialling counts too.
      dueAtMs[fd] = startMs + ((source.dialled - 1) / task.ratePerSecond) * 1000;
    }
    station.turn(1);
  }
  const sorted = latenciesMs.toSorted((a, b) => a - b);
  const at = (share: number): number => sorted[Math.ceil(share * sorted.length) - 1] ?? Number.NaN;
  return {
    connects: source.dialled,
    failed,
    p50Ms: at(0.5),
    p99Ms: at(0.99),
    worstMs: at(1),
  };
}
