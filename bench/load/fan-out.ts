import { type Figures, measured, prepare, type Task } from './measures.ts';
import { MESSAGE_BYTES } from './mqtt.ts';

/**
 * One device publishes, and the broker sends the message to everyone at once, each over a link of its own: what does one
 * delivery cost the proxy, and when does the last device have it? The next one follows at the rate, when all have this.
 */
export function fanOut(task: Task): Figures {
  const { station, packets, devices } = prepare(task, 'everyone');
  devices.open(task.connections);
  const [publisher = 0] = devices.fds;
  const whole = task.connections * MESSAGE_BYTES;
  const startMs = performance.now();
  let bursts = 0;
  let left = 0;
  let sentMs = 0;
  let got = 0;
  let tookMs: number[] = [];
  devices.onBytes = (_, bytes) => {
    got += bytes;
    left -= bytes;
    if (left === 0) tookMs.push(performance.now() - sentMs);
  };
  const window = measured(
    task,
    (nowMs) => {
      if (left === 0 && nowMs >= startMs + (bursts * 1000) / task.ratePerSecond) {
        bursts++;
        left = whole;
        sentMs = nowMs;
        station.send(publisher, packets.publish, MESSAGE_BYTES);
      }
      station.turn(0);
    },
    () => {
      got = 0;
      tookMs = [];
    },
  );
  const sorted = tookMs.toSorted((a, b) => a - b);
  return {
    cpuUsPerDelivery: (window.cpuUs * MESSAGE_BYTES) / got,
    allHaveItMs: sorted[Math.floor(sorted.length / 2)] ?? Number.NaN,
  };
}
