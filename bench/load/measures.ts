import { Devices } from './devices.ts';
import { cpuUs, Histogram, heapBytes, residentBytes } from './gauges.ts';
import { createPackets, MESSAGE_BYTES } from './mqtt.ts';
import { type AttemptOptions, Sink } from './sink.ts';
import { type Address, MAX_FD, Station } from './station.ts';

export interface Task {
  readonly proxy: Address;
  readonly sink: Address;
  /** The proxy's processes; none for a direct connection. */
  readonly pids: readonly number[];
  /** Address of this machine to connect from; absent: the kernel chooses. */
  readonly from?: string;
  readonly connections: number;
  readonly ratePerSecond: number;
  readonly warmUpMs: number;
  readonly windowMs: number;
  /** Of a measure that has several: numbers of connections, messages a second, or payload bytes. */
  readonly steps?: readonly number[];
  /** The proxy works on the load's core too: the load sleeps there as long as it has nothing to send. */
  readonly sharesCore?: boolean;
}

/** The last bytes of a message are when it was sent. */
const TIME_BYTES = 8;

export type Figures = Readonly<Record<string, number>>;

export interface Window {
  readonly cpuUs: number;
  readonly seconds: number;
}

/** Runs `step` through the warm-up, then through the window that counts. */
export function measured(
  task: Pick<Task, 'pids' | 'warmUpMs' | 'windowMs'>,
  step: (nowMs: number) => void,
  begin: () => void,
): Window {
  const startMs = performance.now();
  const beginMs = startMs + task.warmUpMs;
  for (let nowMs = startMs; nowMs < beginMs; nowMs = performance.now()) step(nowMs);
  begin();
  const cpu = cpuUs(task.pids);
  const fromMs = performance.now();
  let nowMs = fromMs;
  for (; nowMs < fromMs + task.windowMs; nowMs = performance.now()) step(nowMs);
  return {
    cpuUs: cpuUs(task.pids) - cpu,
    seconds: (nowMs - fromMs) / 1000,
  };
}

export function prepare(task: Task, manner: AttemptOptions) {
  const station = new Station();
  const packets = createPackets(station.libc);
  const sink = new Sink(station, packets, task.sink, manner);
  const devices = new Devices(station, packets, task.proxy);
  return { station, packets, sink, devices };
}

/** Many devices publish at a fixed rate; what does one message cost the proxy, and how long is it on its way? */
export function fanIn(task: Task): Figures {
  const { station, packets, sink, devices } = prepare(task, 'swallow');
  devices.open(task.connections);
  let histogram = new Histogram();
  sink.onBytes = (got) => {
    const nowMs = performance.now();
    for (let end = MESSAGE_BYTES; end <= got; end += MESSAGE_BYTES)
      histogram.add((nowMs - station.scratch.bytes.readDoubleLE(end - TIME_BYTES)) * 1000);
  };
  const figures = fanInOf(
    task,
    station,
    sink,
    (message) => {
      packets.publish.bytes.writeDoubleLE(performance.now(), MESSAGE_BYTES - TIME_BYTES);
      station.send(devices.fds[message % devices.fds.length] as number, packets.publish, MESSAGE_BYTES);
    },
    () => {
      histogram = new Histogram();
    },
  );
  return { ...figures, ...quantiles(histogram) };
}

/** The same with acknowledgements. */
export function qos1(task: Task): Figures {
  const { station, packets, sink, devices } = prepare(task, 'broker');
  devices.open(task.connections);
  return fanInOf(task, station, sink, (message) => {
    const id = (Math.floor(message / devices.fds.length) % 65_535) + 1;
    station.send(devices.fds[message % devices.fds.length] as number, packets.publishQos1(id), MESSAGE_BYTES);
  });
}

export function fanInOf(
  task: Task,
  station: Station,
  sink: Sink,
  send: (message: number) => void,
  begin: () => void = () => undefined,
): Figures {
  const sleepsMs = task.sharesCore ? 1 : 0;
  const startMs = performance.now();
  let sent = 0;
  let before = 0;
  const window = measured(
    task,
    (nowMs) => {
      const due = ((nowMs - startMs) * task.ratePerSecond) / 1000;
      for (; sent < due; sent++) send(sent);
      station.turn(sleepsMs);
    },
    () => {
      before = sink.bytes;
      begin();
    },
  );
  const messages = (sink.bytes - before) / MESSAGE_BYTES;
  return {
    cpuUsPerMessage: window.cpuUs / messages,
    messagesPerSecond: messages / window.seconds,
  };
}

/** Every device sends its next message when the last has come back. */
export function echo(task: Task): Figures {
  const { station, packets, devices } = prepare(task, 'echo');
  devices.open(task.connections);
  const sentAt = new Float64Array(MAX_FD);
  let histogram = new Histogram();
  let trips = 0;
  const send = (fd: number): void => {
    sentAt[fd] = performance.now();
    station.send(fd, packets.publish, MESSAGE_BYTES);
  };
  devices.onBytes = (fd) => {
    histogram.add((performance.now() - (sentAt[fd] as number)) * 1000);
    trips++;
    send(fd);
  };
  for (const fd of devices.fds) send(fd);
  const window = measured(
    task,
    () => station.turn(1),
    () => {
      histogram = new Histogram();
      trips = 0;
    },
  );
  return {
    tripsPerSecond: trips / window.seconds,
    cpuUsPerTrip: window.cpuUs / trips,
    ...quantiles(histogram),
  };
}

/** Round trips at a fixed rate, timed from when each was due, so that a stall is not hidden by waiting for it. */
export function latency(task: Task): Figures {
  const { station, packets, devices } = prepare(task, 'echo');
  devices.open(task.connections);
  const dueAt = new Float64Array(MAX_FD);
  let histogram = new Histogram();
  devices.onBytes = (fd) => histogram.add((performance.now() - (dueAt[fd] as number)) * 1000);
  const startMs = performance.now();
  let sent = 0;
  measured(
    task,
    (nowMs) => {
      for (let due = dueMs(sent); due <= nowMs; due = dueMs(++sent)) {
        const fd = devices.fds[sent % devices.fds.length] as number;
        dueAt[fd] = due;
        station.send(fd, packets.publish, MESSAGE_BYTES);
      }
      station.turn(0);
    },
    () => {
      histogram = new Histogram();
    },
  );
  function dueMs(message: number): number {
    return startMs + (message * 1000) / task.ratePerSecond;
  }
  return quantiles(histogram);
}

function quantiles(histogram: Histogram): Figures {
  return {
    p50Us: histogram.quantile(0.5),
    p99Us: histogram.quantile(0.99),
    p999Us: histogram.quantile(0.999),
  };
}

/** Connect, CONNECT, CONNACK, reset, again: how many in a second? */
export function connects(task: Task): Figures {
  const { station, devices } = prepare(task, 'swallow');
  let done = 0;
  devices.onConnected = (fd) => {
    done++;
    station.reset(fd);
    devices.dial();
  };
  for (let i = 0; i < task.connections; i++) devices.dial();
  const window = measured(
    task,
    () => station.turn(1),
    () => {
      done = 0;
    },
  );
  return {
    connectsPerSecond: done / window.seconds,
    cpuUsPerConnect: window.cpuUs / done,
    failed: devices.failed,
  };
}

/** What does a connected device that says nothing cost in resident memory? */
export function idle(task: Task): Figures {
  const { station, devices } = prepare(task, 'broker');
  return idleBytes(task, station, (count) => devices.open(count));
}

/**
 * What one more device takes where the first eighth of them is connected: code that is compiled when it first runs, and the
 * first pages of every table, are there by then, whoever the contender is. Beside it what all of them take, with all of that.
 */
export function idleBytes(task: Task, station: Station, open: (count: number) => void): Figures {
  const few = task.connections / 8;
  const rest = task.connections - few;
  const empty = residentBytes(task.pids);
  open(few);
  const before = settled(task, station);
  open(rest);
  const after = settled(task, station);
  return {
    bytesPerConnection: (after - before) / rest,
    bytesWithTheFirst: (after - empty) / task.connections,
  };
}

/** What do the objects of a device with two subscriptions take? Whatever is there once for all is left out. */
export function subscribed(task: Task): Figures {
  const { station, packets, devices } = prepare(task, 'broker');
  const [pid = 0] = task.pids;
  let acknowledged = 0;
  devices.onBytes = () => void acknowledged++;
  const heapWith = (connections: number): number => {
    const from = devices.fds.length;
    devices.open(connections - from);
    for (const fd of devices.fds.slice(from)) {
      station.send(fd, packets.subscribe, packets.subscribe.bytes.length);
      station.turn(0);
    }
    for (const end = performance.now() + 30_000; acknowledged < connections; station.turn(50)) {
      if (performance.now() > end) throw new Error(`${acknowledged} of ${connections} are subscribed`);
    }
    return heapBytes(pid, () => station.turn(50));
  };
  const few = task.connections / 8;
  const before = heapWith(few);
  return { heapBytesPerConnection: (heapWith(task.connections) - before) / (task.connections - few) };
}

function settled(task: Task, station: Station): number {
  for (const end = performance.now() + task.windowMs; performance.now() < end; ) station.turn(50);
  return residentBytes(task.pids);
}
