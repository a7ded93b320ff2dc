import { createServer, type Server } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { connect, type TLSSocket } from 'node:tls';
import { cpuUs, residentBytes } from './gauges.ts';
import type { Figures, Task } from './measures.ts';

/**
 * The load of the TLS measures. It runs on `node:tls`, slower than any proxy: only the proxy's CPU counts, but for keys so
 * long that the proxy has far more to do.
 */
const MESSAGE_BYTES = 100;
const MESSAGE = Buffer.alloc(MESSAGE_BYTES, 'x').fill(Buffer.from([0x30, MESSAGE_BYTES - 2, 0, 1]), 0, 4);
const CONNACK = Buffer.from([0x20, 2, 0, 0]);

/** A CONNECT of MQTT 3.1.1 with a client identifier that no other has: one that comes again and again is held back. */
let devices = 0;
function connectPacket(): Buffer {
  const id = `tls-${String(devices++).padStart(8, '0')}`;
  const head = [0x10, 12 + id.length, 0, 4, ...Buffer.from('MQTT'), 4, 2, 0, 60, 0, id.length];
  return Buffer.concat([Buffer.from(head), Buffer.from(id)]);
}

/** Answers the first bytes with CONNACK and sends the rest back. */
function broker({ sink }: Task): Promise<Server> {
  const server = createServer({ noDelay: true }, (socket) => {
    socket.once('data', () => {
      socket.write(CONNACK);
      socket.on('data', (bytes) => socket.write(bytes));
    });
    socket.on('error', () => undefined);
  });
  return new Promise((done) => server.listen(sink.port, sink.host, () => done(server)));
}

/** A full handshake where no session is offered. */
function dial({ proxy }: Task, session?: Buffer): TLSSocket {
  const options = {
    ...proxy,
    session,
    rejectUnauthorized: false,
    minVersion: 'TLSv1.3',
    ALPNProtocols: ['mqtt'],
  };
  const socket = connect(options as never, () => socket.write(connectPacket()));
  socket.setNoDelay(true);
  socket.on('error', () => undefined);
  return socket;
}

interface Cost {
  readonly perSecond: number;
  /** Of the proxy, for each that is counted. */
  readonly cpuUs: number;
}

async function costOf(task: Task, count: () => number): Promise<Cost> {
  await sleep(task.warmUpMs);
  const cpu = cpuUs(task.pids);
  const before = count();
  const sinceMs = performance.now();
  await sleep(task.windowMs);
  const done = count() - before;
  if (done === 0) throw new Error('nothing came through TLS');
  return {
    perSecond: (1000 * done) / (performance.now() - sinceMs),
    cpuUs: (cpuUs(task.pids) - cpu) / done,
  };
}

export async function tlsEcho(task: Task): Promise<Figures> {
  await broker(task);
  let trips = 0;
  for (let i = 0; i < task.connections; i++) {
    const device = dial(task);
    device.once('data', () => {
      let got = 0;
      device.on('data', (bytes) => {
        got += bytes.length;
        if (got < MESSAGE_BYTES) return;
        got = 0;
        trips++;
        device.write(MESSAGE);
      });
      device.write(MESSAGE);
    });
  }
  return { cpuUsPerTrip: (await costOf(task, () => trips)).cpuUs };
}

export async function tlsConnects(task: Task): Promise<Figures> {
  return { cpuUsPerHandshake: (await handshakes(task)).cpuUs };
}

/** At first nobody offers a session, then each device the one that the device before it was given. */
export async function tlsHandshakes(task: Task): Promise<Figures> {
  await broker(task);
  let full = 0;
  let resumed = 0;
  let offers = false;
  function again(session?: Buffer): void {
    let next = session;
    const device = dial(task, offers ? session : undefined);
    device.on('session', (given) => {
      next = given;
    });
    device.once('data', () => {
      if (device.isSessionReused()) resumed++;
      else full++;
      device.destroy();
    });
    device.once('close', () => again(next));
  }
  for (let i = 0; i < task.connections; i++) again();
  const { cpuUs: cpuUsPerHandshake } = await costOf(task, () => full);
  offers = true;
  const { cpuUs: cpuUsPerResumption } = await costOf(
    { ...task, warmUpMs: 0.4 * task.warmUpMs },
    () => resumed,
  );
  return { cpuUsPerHandshake, cpuUsPerResumption };
}

/** Devices behind their CONNACK. */
async function connected(task: Task, count: number): Promise<TLSSocket[]> {
  const devices: TLSSocket[] = [];
  while (devices.length < count) {
    const crowd = Array.from({ length: Math.min(count - devices.length, 16) }, () => dial(task));
    await Promise.all(crowd.map((device) => new Promise((done) => device.once('data', done))));
    devices.push(...crowd);
  }
  return devices;
}

/** What does a connected device that says nothing cost in resident memory? */
export async function tlsIdle(task: Task): Promise<Figures> {
  await broker(task);
  // What the first handshakes take once for all is left out.
  for (const device of await connected(task, task.connections / 8)) device.destroy();
  await sleep(task.windowMs);
  const before = residentBytes(task.pids);
  await connected(task, task.connections);
  await sleep(task.windowMs);
  return { bytesPerConnection: (residentBytes(task.pids) - before) / task.connections };
}

export async function tlsRate(task: Task): Promise<Figures> {
  const { perSecond, cpuUs: each } = await handshakes(task);
  return { handshakesPerSecond: perSecond, cpuUsPerHandshake: each };
}

async function handshakes(task: Task): Promise<Cost> {
  await broker(task);
  let greeted = 0;
  function again(): void {
    const device = dial(task);
    device.once('data', () => greeted++).once('data', () => device.destroy());
    device.once('close', again);
  }
  for (let i = 0; i < task.connections; i++) again();
  return costOf(task, () => greeted);
}
