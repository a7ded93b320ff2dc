import { closeSync, writeSync } from 'node:fs';
import { connect, type Socket } from 'node:net';
import { resolve } from 'node:path';
import { Worker } from 'node:worker_threads';
import type { Peer, PeerTls, Target, Wire } from '../../src/connection/wire.ts';
import type { BoundAddress } from '../../src/engine/engine.ts';
import type { HandedSockets } from '../../src/engine/handed-sockets.ts';
import type { TlsOptions, UpstreamTls } from '../../src/engine/tls.ts';
import type { HeaderRefusal, ProxyProtocolOptions } from '../../src/protocol/proxy-protocol/expect.ts';
import type { Command, Report, Script, WorkerSettings } from './engine-worker.ts';

const WORKER = resolve('dist/test/support/engine-worker.js');
const WAKE = new Uint8Array(new BigUint64Array([1n]).buffer);

export interface ConnectionEvent {
  readonly name: string;
  readonly args: readonly unknown[];
}

/** What the engine has told about one connection, and its wire by remote control. */
export interface RemoteConnection {
  readonly events: readonly ConnectionEvent[];
  names(): string[];
  /** The arguments of the first such event, past or to come. */
  told(name: string): Promise<readonly unknown[]>;
  /** All bytes of the events so named, joined, once they are at least so long. */
  text(name: 'deviceData' | 'linkData', length: number): Promise<string>;
  call<M extends keyof Wire>(method: M, ...args: Parameters<Wire[M]>): void;
  write(to: 'device' | number, text: string): void;
}

export interface EngineUnderTest {
  readonly port: number;
  readonly faults: string[];
  /** What connections accepted from now on do by themselves. */
  script(script: Script, target?: Target): Promise<unknown>;
  listen(
    host: string,
    port: number,
    index?: number,
    tls?: TlsOptions,
    proxyProtocol?: ProxyProtocolOptions,
    deviceGreets?: boolean,
  ): Promise<BoundAddress>;
  updateTls(index: number, tls: TlsOptions): Promise<unknown>;
  updateUpstreamTls(pool: number, tls: UpstreamTls): Promise<unknown>;
  /** `tls` of the peer that the last connection from this port was accepted with. */
  peerTls(devicePort: number): Promise<PeerTls | undefined>;
  /** What else is known of the device with this port. */
  peerFacts(devicePort: number): Promise<Pick<Peer, 'destination' | 'tlvs'>>;
  /** Connections that were reset for their PROXY protocol header: why, and whose, in that order. */
  readonly headersRefused: readonly (readonly [HeaderRefusal, string])[];
  /** Listeners at which a device met too many handshakes, in the order of refusal. */
  readonly handshakesRefused: readonly number[];
  /** Bound, and not open yet. */
  hold(port: number, index: number): Promise<BoundAddress>;
  open(index: number): Promise<unknown>;
  unlisten(index: number): Promise<unknown>;
  updateProxyProtocol(index: number, proxyProtocol?: ProxyProtocolOptions): Promise<unknown>;
  /** Accepts at sockets of another engine. */
  inherit(index: number, inherited: readonly number[]): Promise<BoundAddress>;
  listening(index: number): Promise<readonly number[]>;
  leave(index: number): Promise<unknown>;
  freeze(devicePort: number): Promise<HandedSockets | undefined>;
  thaw(devicePort: number): Promise<unknown>;
  depart(devicePort: number): Promise<unknown>;
  /** The connection of that device, frozen, with a script of its own. */
  adopt(devicePort: number, script: Script, sockets: HandedSockets): Promise<RemoteConnection>;
  stopAccepting(): Promise<unknown>;
  defer(): Promise<unknown>;
  close(): Promise<unknown>;
  /** A device's socket and its connection in the engine. */
  connect(port?: number, host?: string): Promise<{ device: Socket; connection: RemoteConnection }>;
  /** Of the device that has this port now. Asked once for each device: asked again, it is another with the same port. */
  connection(devicePort: number): RemoteConnection;
  stop(): Promise<void>;
}

/** A command that is answered, before it has its number. */
type Question = Command extends infer C ? (C extends { readonly id: number } ? Omit<C, 'id'> : never) : never;

class RemoteLog implements RemoteConnection {
  readonly events: ConnectionEvent[] = [];
  private readonly waiting = new Set<() => void>();
  private readonly send: (method: keyof Wire, args: readonly unknown[]) => void;

  constructor(send: (method: keyof Wire, args: readonly unknown[]) => void) {
    this.send = send;
  }

  add(event: ConnectionEvent): void {
    this.events.push(event);
    for (const check of this.waiting) check();
  }

  private until<T>(look: () => T | undefined): Promise<T> {
    return new Promise((done) => {
      const check = (): void => {
        const found = look();
        if (found === undefined) return;
        this.waiting.delete(check);
        done(found);
      };
      this.waiting.add(check);
      check();
    });
  }

  names(): string[] {
    return this.events.map((event) => event.name);
  }

  told(name: string): Promise<readonly unknown[]> {
    return this.until(() => this.events.find((event) => event.name === name)?.args);
  }

  text(name: string, length: number): Promise<string> {
    return this.until(() => {
      const parts = this.events.filter((event) => event.name === name).map((event) => event.args.at(-1));
      const text = parts.join('');
      return text.length >= length ? text : undefined;
    });
  }

  call(method: keyof Wire, ...args: unknown[]): void {
    this.send(method, args);
  }

  write(to: 'device' | number, text: string): void {
    const bytes = new Uint8Array(Buffer.from(text, 'latin1'));
    if (to === 'device') this.call('toDevice', bytes, 0, bytes.length);
    else this.call('toNode', to, bytes, 0, bytes.length);
  }
}

/** Starts an engine in a thread of its own, listening on a free port of 127.0.0.1. */
export async function startEngine(settings: WorkerSettings): Promise<EngineUnderTest> {
  const worker = new Worker(WORKER, { workerData: settings });
  const lives = new Map<number, RemoteLog>();
  /** By the port of the device: the newest. */
  const connections = new Map<number, RemoteLog>();
  const handedOut = new WeakSet<RemoteLog>();
  const answers = new Map<number, { resolve(value: unknown): void; reject(error: Error): void }>();
  const faults: string[] = [];
  const handshakesRefused: number[] = [];
  const headersRefused: [HeaderRefusal, string][] = [];
  let wakeFd: number | undefined;
  let closed = false;
  let lastId = 0;

  function post(command: Command): void {
    worker.postMessage(command);
    if (wakeFd !== undefined && !closed) writeSync(wakeFd, WAKE);
  }

  function ask(command: Question): Promise<unknown> {
    const id = ++lastId;
    return new Promise<unknown>((resolve, reject) => {
      answers.set(id, { resolve, reject });
      post({ ...command, id } as Command);
    });
  }

  function newLog(device: number): RemoteLog {
    const log = new RemoteLog((method, args) => post({ call: 'wire', device, method, args }));
    connections.set(device, log);
    return log;
  }

  function connection(device: number): RemoteLog {
    const known = connections.get(device);
    // Not every test has its connections closed: one whose device has ended is of a former user of the port.
    const isFormer = known === undefined || handedOut.has(known) || known.names().includes('deviceEnded');
    const log = isFormer ? newLog(device) : known;
    handedOut.add(log);
    return log;
  }

  /** The first event of a life goes to whoever has asked for its device already. */
  function logOf({ life, device }: Extract<Report, { told: 'event' }>): RemoteLog {
    let log = lives.get(life);
    if (log === undefined) {
      const asked = connections.get(device);
      log = asked?.events.length === 0 ? asked : newLog(device);
      lives.set(life, log);
    }
    return log;
  }

  const listen: EngineUnderTest['listen'] = (host, port, index = 0, tls, proxyProtocol, deviceGreets) =>
    ask({ call: 'listen', index, host, port, tls, proxyProtocol, deviceGreets }) as Promise<BoundAddress>;

  await new Promise<void>((ready, failed) => {
    worker.on('error', (error) => {
      faults.push(String(error));
      failed(error);
    });
    worker.on('message', (report: Report) => {
      if (report.told === 'event') {
        const log = logOf(report);
        log.add(report);
        if (report.name === 'closed') {
          lives.delete(report.life);
          if (connections.get(report.device) === log) connections.delete(report.device);
        }
      } else if (report.told === 'fault') faults.push(report.message);
      else if (report.told === 'handshakeRefused') handshakesRefused.push(report.listener);
      else if (report.told === 'headerRefused') headersRefused.push([report.refusal, report.address]);
      else if (report.told === 'answer') {
        const { resolve, reject } = answers.get(report.id) as NonNullable<ReturnType<typeof answers.get>>;
        if (report.code === undefined) resolve(report.value);
        else reject(Object.assign(new Error(report.message), { code: report.code }));
      } else {
        wakeFd = report.wakeFd;
        ready();
      }
    });
  });
  const { port } = await listen('127.0.0.1', 0);

  async function close(): Promise<void> {
    const done = ask({ call: 'close' });
    closed = true;
    await done;
    if (wakeFd !== undefined) closeSync(wakeFd);
  }

  return {
    port,
    faults,
    script: (script, target) => ask({ call: 'script', script, ...(target && { target }) }),
    listen,
    updateTls: (index, tls) => ask({ call: 'updateTls', index, tls }),
    updateUpstreamTls: (pool, tls) => ask({ call: 'updateUpstreamTls', pool, tls }),
    peerTls: (device) => ask({ call: 'peerTls', device }) as Promise<PeerTls | undefined>,
    peerFacts: (device) => ask({ call: 'peerFacts', device }) as Promise<Pick<Peer, 'destination' | 'tlvs'>>,
    headersRefused,
    handshakesRefused,
    updateProxyProtocol: (index, proxyProtocol) =>
      ask({ call: 'updateProxyProtocol', index, ...(proxyProtocol && { proxyProtocol }) }),
    hold: (port, index) =>
      ask({ call: 'listen', host: '127.0.0.1', port, index, isHeld: true }) as Promise<BoundAddress>,
    open: (index) => ask({ call: 'open', index }),
    unlisten: (index) => ask({ call: 'unlisten', index }),
    inherit: (index, inherited) =>
      ask({ call: 'listen', host: '127.0.0.1', port: 0, index, inherited }) as Promise<BoundAddress>,
    listening: (index) => ask({ call: 'listening', index }) as Promise<readonly number[]>,
    leave: (index) => ask({ call: 'leave', index }),
    freeze: (device) => ask({ call: 'freeze', device }) as Promise<HandedSockets | undefined>,
    thaw: (device) => ask({ call: 'thaw', device }),
    depart: (device) => ask({ call: 'depart', device }),
    async adopt(device, script, sockets) {
      const adopted = connection(device);
      await ask({ call: 'adopt', device, script, sockets });
      return adopted;
    },
    stopAccepting: () => ask({ call: 'stopAccepting' }),
    defer: () => ask({ call: 'defer' }),
    close,
    connection,
    async connect(to = port, host = '127.0.0.1') {
      const device = connect({ host, port: to, allowHalfOpen: true, noDelay: true });
      await new Promise((opened, failed) => device.once('connect', opened).once('error', failed));
      device.on('error', () => undefined);
      const remote = connection(device.localPort as number);
      await remote.told('accepted');
      return { device, connection: remote };
    },
    async stop() {
      if (!closed) await close();
      await worker.terminate();
    },
  };
}
