import { readdirSync, readFileSync } from 'node:fs';
import { type AddressInfo, connect, createServer } from 'node:net';
import { parentPort, workerData } from 'node:worker_threads';
import { generate, parser } from 'mqtt-packet';

/** The thread of `bystander.ts`: its broker, which gives back what it gets, and its device. */

const port = parentPort as NonNullable<typeof parentPort>;
/** Round trips so far, and the most time of a core that the data thread had during one of them, in milliseconds. */
const shared = workerData as Float64Array;
/** Round trips by which the data thread is found among all that the proxy has. */
const LOOKS = 100;
const PAUSE_MS = 2;

const message = generate({ cmd: 'publish', topic: 'echo', payload: '', qos: 0, dup: false, retain: false });

const server = createServer({ noDelay: true }, (socket) => {
  socket.on('error', () => undefined);
  const packets = parser({ protocolVersion: 4 });
  packets.on('packet', ({ cmd }) => {
    if (cmd === 'connect') socket.write(Buffer.of(0x20, 2, 0, 0));
    if (cmd === 'publish') socket.write(message);
  });
  socket.on('data', (chunk) => packets.parse(chunk));
});
server.listen(0, '127.0.0.1', () => port.postMessage((server.address() as AddressInfo).port));

port.once('message', ({ pid, at }: { pid: number; at: number }) => speak(pid, at));

/** Milliseconds that a thread has had a core for. Undefined: it is gone, as the proxy may be at the end of the test. */
function cpuMs(pid: number, thread: string): number | undefined {
  try {
    return Number(readFileSync(`/proc/${pid}/task/${thread}/schedstat`, 'utf8').split(' ')[0]) / 1e6;
  } catch {
    return undefined;
  }
}

function speak(pid: number, at: number): void {
  const before = new Map(readdirSync(`/proc/${pid}/task`).map((each) => [each, cpuMs(pid, each) ?? 0]));
  const dataThread = () => {
    const most = [...before].map(([each, ms]) => [each, (cpuMs(pid, each) ?? 0) - ms] as const);
    return most.sort(([, a], [, b]) => b - a)[0]?.[0];
  };
  let thread: string | undefined;
  let got = 0;
  let sinceMs = 0;
  const socket = connect({ port: at, host: '127.0.0.1', noDelay: true });
  const say = (): void => {
    const nowMs = cpuMs(pid, thread ?? String(pid));
    if (nowMs === undefined) return;
    sinceMs = nowMs;
    socket.write(message);
  };
  socket.write(
    generate({
      ...{ cmd: 'connect', clientId: 'bystander', protocolId: 'MQTT', protocolVersion: 4 },
      ...{ clean: true, keepalive: 0 },
    }),
  );
  socket
    .on('error', () => undefined)
    .on('data', () => {
      if (thread !== undefined) {
        shared[0] = (shared[0] as number) + 1;
        shared[1] = Math.max(shared[1] as number, (cpuMs(pid, thread) ?? 0) - sinceMs);
      } else if (++got > LOOKS) thread = dataThread();
      setTimeout(say, PAUSE_MS);
    });
}
