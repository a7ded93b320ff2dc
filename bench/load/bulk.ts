import { type Figures, measured, prepare, type Task } from './measures.ts';
import { MAX_FD } from './station.ts';

/** The load of large messages: each is written as the path takes it, so that a proxy's back-pressure is part of it. */

const MEGABYTE = 1e6;

/** Payloads of each size in turn, so many megabytes a second in all: what does one cost the proxy? */
export function bulk(task: Task): Figures {
  const { station, packets, sink, devices } = prepare(task, 'swallow');
  devices.open(task.connections);
  /** Bytes of the message that is under way on each connection. */
  const left = new Uint32Array(MAX_FD);
  const figures: Record<string, number> = {};
  for (const payloadBytes of task.steps ?? []) {
    const message = packets.publishOf(payloadBytes);
    const whole = message.bytes.length;
    const write = (fd: number): void => {
      for (let rest = left[fd] as number; rest > 0; rest = left[fd] as number) {
        const sent = station.sendSome(fd, message, whole - rest, rest);
        if (sent <= 0) return;
        left[fd] = rest - sent;
      }
    };
    devices.onWritable = write;
    const startMs = performance.now();
    let planned = 0;
    let before = 0;
    const window = measured(
      task,
      (nowMs) => {
        const due = ((nowMs - startMs) * task.ratePerSecond * MEGABYTE) / payloadBytes / 1000;
        for (; planned < due; planned++) {
          const fd = devices.fds[planned % devices.fds.length] as number;
          if (left[fd] !== 0) continue; // a path that is behind gets less
          left[fd] = whole;
          write(fd);
        }
        station.turn(0);
      },
      () => {
        before = sink.bytes;
      },
    );
    const megabytes = (sink.bytes - before) / MEGABYTE;
    const size = payloadBytes < MEGABYTE ? `${Math.round(payloadBytes / 1024)}kB` : '1MB';
    figures[`cpuUsPerMegabyteOf${size}`] = window.cpuUs / megabytes;
    figures[`megabytesPerSecondOf${size}`] = megabytes / window.seconds;
    // Each message is sent to its end, or the next size would begin inside it.
    while (devices.fds.some((fd) => left[fd] !== 0)) station.turn(1);
  }
  return figures;
}
