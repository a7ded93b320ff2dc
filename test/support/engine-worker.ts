import { parentPort, workerData } from 'node:worker_threads';
import type { EndCause, Link, Peer, Target, Wire, WireEvents } from '../../src/connection/wire.ts';
import type { Engine, EngineName, EngineOptions } from '../../src/engine/engine.ts';
import { loadEpoll } from '../../src/engine/epoll/load.ts';
import { type HandedSockets, readHandedSockets } from '../../src/engine/handed-sockets.ts';
import { NodeEngine } from '../../src/engine/node/engine.ts';
import { Pulse } from '../../src/engine/pulse.ts';
import type { TlsOptions, UpstreamTls } from '../../src/engine/tls.ts';
import type { UringSizes } from '../../src/engine/uring/driver.ts';
import { loadUring } from '../../src/engine/uring/load.ts';
import { NodeAddresses } from '../../src/nodes/addresses.ts';
import type { HeaderRefusal, ProxyProtocolOptions } from '../../src/protocol/proxy-protocol/expect.ts';

/** The thread in which the contract suite runs an engine: it tells every event and obeys every command. */
export interface WorkerSettings {
  readonly engine: EngineName;
  /** Of the uring engine: how much its rings hold, where that is not the usual. */
  readonly sizes?: UringSizes;
  readonly highWaterBytes: number;
  readonly maxHandshakes?: number;
  readonly linkLingerMs?: number;
  /** Shared. While it is 0, the engine waits in 'go-on-alone', once it has told that the device has ended. */
  readonly gate?: Int32Array;
  /** Shared: where the engine gives its signs of life. */
  readonly pulse?: Float64Array;
  /** Shared: where the engine counts the bytes of devices. */
  readonly traffic?: Float64Array;
}

export type Script =
  | 'manual'
  | 'relay'
  | 'forward'
  | 'throw'
  | 'throw-on-accept'
  | 'reset-on-accept'
  | 'throw-on-failed-link'
  | 'refuse'
  /** From its first bytes on it works in every turn of the loop, for a millisecond, until it is closed. */
  | 'toil'
  | 'throw-in-turn'
  /** At the device's first bytes it leaves link 0, and tells when that is closed. */
  | 'leave'
  /** At the device's bytes it calls another connection, whose code fails; it goes on itself. */
  | 'disturb'
  /** At the device's first bytes fills link 0, and tells when it takes bytes again, or is closed. */
  | 'fill'
  /** Is connection 77, and does not come back from its first bytes until the gate is open. */
  | 'stick'
  /** At the device's bytes waits until the gate is open, and then fills link 0. */
  | 'fill-late'
  /** When the device has ended, leaves link 0 and dials the target, and so on when that fails. */
  | 'go-on-alone';

export type Command =
  | { readonly call: 'script'; readonly id: number; readonly script: Script; readonly target?: Target }
  | {
      readonly call: 'listen';
      readonly id: number;
      readonly index: number;
      readonly host: string;
      readonly port: number;
      readonly tls?: TlsOptions | undefined;
      readonly proxyProtocol?: ProxyProtocolOptions | undefined;
      readonly deviceGreets?: boolean | undefined;
      readonly isHeld?: boolean | undefined;
      readonly inherited?: readonly number[] | undefined;
    }
  | { readonly call: 'listening' | 'leave'; readonly id: number; readonly index: number }
  | { readonly call: 'freeze' | 'thaw' | 'depart'; readonly id: number; readonly device: number }
  | {
      readonly call: 'adopt';
      readonly id: number;
      readonly device: number;
      readonly script: Script;
      readonly sockets: HandedSockets;
    }
  | { readonly call: 'updateTls'; readonly id: number; readonly index: number; readonly tls: TlsOptions }
  | {
      readonly call: 'updateUpstreamTls';
      readonly id: number;
      readonly pool: number;
      readonly tls: UpstreamTls;
    }
  | { readonly call: 'unlisten' | 'open'; readonly id: number; readonly index: number }
  | {
      readonly call: 'updateProxyProtocol';
      readonly id: number;
      readonly index: number;
      readonly proxyProtocol?: ProxyProtocolOptions;
    }
  | { readonly call: 'peerTls' | 'peerFacts'; readonly id: number; readonly device: number }
  | { readonly call: 'stopAccepting' | 'close' | 'defer'; readonly id: number }
  | {
      readonly call: 'wire';
      readonly device: number;
      readonly method: keyof Wire;
      readonly args: readonly unknown[];
    };

export type Report =
  | { readonly told: 'ready'; readonly wakeFd: number | undefined }
  | {
      readonly told: 'answer';
      readonly id: number;
      readonly value?: unknown;
      readonly code?: string;
      readonly message?: string;
    }
  | { readonly told: 'fault'; readonly message: string }
  | { readonly told: 'handshakeRefused'; readonly listener: number }
  | { readonly told: 'headerRefused'; readonly refusal: HeaderRefusal; readonly address: string }
  | {
      readonly told: 'event';
      /** Number of the connection: a port may come again before the last of its former user is told. */
      readonly life: number;
      readonly device: number;
      readonly name: string;
      readonly args: readonly unknown[];
    };

/** More than sockets take at once. */
const FILLED_BYTES = 8 << 20;
const port = parentPort as NonNullable<typeof parentPort>;
const settings = workerData as WorkerSettings;
const wires = new Map<number, Wire>();
const peers = new Map<number, Peer>();
let script: Script = 'manual';
let target: Target | undefined;
let lives = 0;

function report(message: Report): void {
  port.postMessage(message);
}

/** Tells each event by the device's port; 'relay' and 'forward' carry bytes to the target and back besides. */
class Scripted implements WireEvents {
  private readonly device: number;
  private readonly wire: Wire;
  private readonly life = ++lives;
  private readonly script: Script;
  private inside = false;

  constructor(wire: Wire, device: number, of: Script) {
    this.wire = wire;
    this.device = device;
    this.script = of;
    wires.set(device, wire);
  }

  accepted(peer: Peer, listenerIndex: number): this {
    const { wire } = this;
    peers.set(this.device, peer);
    this.tell('accepted', listenerIndex, peer.remoteAddress);
    if (this.script === 'throw-on-accept') throw new Error('scripted fault at accept');
    if (this.script === 'reset-on-accept') wire.endDevice('reset');
    if (target === undefined || (this.script !== 'relay' && this.script !== 'forward')) return this;
    wire.holdDevice(true);
    this.dial(target);
    return this;
  }

  tell(name: string, ...args: unknown[]): void {
    report({ told: 'event', life: this.life, device: this.device, name, args });
  }

  /** A call must never call back before it returns; told as an event, so that any test would see it. */
  private dial(to: Target): Link {
    this.inside = true;
    const link = this.wire.dial(to);
    this.inside = false;
    return link;
  }

  private text(bytes: Uint8Array, start: number, end: number): string {
    return Buffer.from(bytes.subarray(start, end)).toString('latin1');
  }

  deviceData(bytes: Uint8Array, start: number, end: number): void {
    if (this.script === 'throw') throw new Error('scripted fault');
    if (this.script === 'stick') {
      this.wire.numbered(77);
      this.tell('sticks');
      this.wire.nextTurn(() => settings.gate && Atomics.wait(settings.gate, 0, 0));
      return;
    }
    if (this.script === 'leave') this.wire.endNode(0, 'flush', () => this.tell('linkClosed'));
    if (this.script === 'toil') this.wire.nextTurn(() => this.toil(true));
    if (this.script === 'disturb') {
      const fail = (): never => {
        throw new Error('scripted fault in a guarded call');
      };
      const newest = [...wires].findLast(([device]) => device !== this.device);
      this.tell('guarded', newest?.[1].guard(fail));
      this.tell(
        'sum',
        this.wire.guard(() => 3),
      );
    }
    if (this.script === 'throw-in-turn')
      this.wire.nextTurn(() => {
        throw new Error('scripted fault in a turn');
      });
    if (this.script === 'fill') {
      this.wire.toNode(0, new Uint8Array(FILLED_BYTES), 0, FILLED_BYTES);
      this.wire.nextTurn(() => this.tell('drained'), 0);
      this.wire.nextTurn(() => this.tell('turned'));
    }
    if (this.script === 'fill-late') {
      this.tell('waits');
      if (settings.gate !== undefined) Atomics.wait(settings.gate, 0, 0);
      this.wire.toNode(0, new Uint8Array(FILLED_BYTES), 0, FILLED_BYTES);
    }
    if (this.script === 'forward') this.wire.toNode(0, bytes, start, end);
    else this.tell('deviceData', this.text(bytes, start, end));
  }

  private toil(isFirst: boolean): void {
    if (isFirst) this.tell('toils');
    const untilMs = performance.now() + 1;
    while (performance.now() < untilMs);
    this.wire.nextTurn(() => this.toil(false));
  }

  linkData(link: Link, bytes: Uint8Array, start: number, end: number): void {
    if (this.script === 'forward') this.wire.toDevice(bytes, start, end);
    else this.tell('linkData', link, this.text(bytes, start, end));
  }

  deviceEnded(cause: EndCause): void {
    this.tell('deviceEnded', cause);
    if (this.script === 'forward') this.wire.endNode(0, cause === 'fin' ? 'flush' : 'reset');
    if (this.script === 'forward') this.wire.endDevice('flush');
    if (this.script !== 'go-on-alone' || target === undefined) return;
    if (settings.gate !== undefined) Atomics.wait(settings.gate, 0, 0);
    this.wire.endNode(0, 'reset');
    this.dial(target);
  }

  linkEnded(link: Link, cause: EndCause): void {
    this.tell('linkEnded', link, cause);
    if (this.script !== 'forward') return;
    this.wire.endDevice('flush');
    this.wire.endNode(link, 'flush'); // the end of a device that was ended is not told
  }

  linkOpened(link: Link): void {
    this.tell('linkOpened', link);
    if (this.script === 'relay') this.wire.splice(link);
    if (this.script === 'relay' || this.script === 'forward') this.wire.holdDevice(false);
  }

  linkFailed(link: Link, reason: string): void {
    this.tell(this.inside ? 'calledBackInside' : 'linkFailed', link, reason);
    if (this.script === 'go-on-alone' && target !== undefined) this.dial(target);
    if (this.script === 'throw-on-failed-link') throw new Error('scripted fault at a failed link');
  }

  timer(): void {
    this.tell('timer', this.wire.stillTakes());
  }

  closed(bytesFromDevice: number, bytesToDevice: number): void {
    this.tell('closed', bytesFromDevice, bytesToDevice);
    if (wires.get(this.device) === this.wire) wires.delete(this.device);
  }
}

const options: EngineOptions = {
  accept: (wire, peer, index) =>
    script === 'refuse' ? undefined : new Scripted(wire, peer.remotePort, script).accepted(peer, index),
  highWaterBytes: settings.highWaterBytes,
  onFault: (error) => report({ told: 'fault', message: String(error) }),
  ...(settings.pulse && { pulse: new Pulse(settings.pulse) }),
  ...(settings.traffic && { traffic: settings.traffic }),
  ...(settings.maxHandshakes !== undefined && { maxHandshakes: settings.maxHandshakes }),
  ...(settings.linkLingerMs !== undefined && { linkLingerMs: settings.linkLingerMs }),
  onHeaderRefused: (_listener, refusal, address) => report({ told: 'headerRefused', refusal, address }),
  onHandshakeRefused: (listener) => report({ told: 'handshakeRefused', listener }),
};

function createEngine(): Engine {
  if (settings.engine === 'node') return new NodeEngine(options);
  const support = settings.engine === 'epoll' ? loadEpoll() : loadUring(undefined, settings.sizes);
  if (!support.available) throw new Error(support.reason);
  return support.create({ ...options, checksStates: true });
}

const engine = createEngine();

async function answer(id: number, run: () => unknown): Promise<void> {
  try {
    report({ told: 'answer', id, value: await run() });
  } catch (error) {
    const { code, message } = error as { code?: string; message: string };
    report({ told: 'answer', id, code: code ?? String(error), message });
  }
}

function wireOf(device: number): Wire {
  const wire = wires.get(device);
  if (wire === undefined) throw new Error(`no connection from port ${device}`);
  return wire;
}

/** The connection is that of another engine, and told of by the same port. */
function adopt(device: number, of: Script, sockets: HandedSockets): void {
  engine.adopt(readHandedSockets(sockets), (wire) => {
    if (of === 'throw-on-accept') throw new Error('scripted fault at begin');
    const conversation = new Scripted(wire, device, of);
    conversation.tell('adopted');
    return conversation;
  });
}

/** Messages between threads carry no methods. */
function revived(value: unknown): unknown {
  if (typeof value !== 'object' || value === null || !('addresses' in value)) return value;
  const { hosts } = value.addresses as NodeAddresses;
  return { ...value, addresses: new NodeAddresses(hosts) };
}

port.on('message', (command: Command) => {
  switch (command.call) {
    case 'script':
      script = command.script;
      target = command.target;
      report({ told: 'answer', id: command.id });
      return;
    case 'listen':
      return void answer(command.id, () => engine.listen(command));
    case 'updateTls':
      return void answer(command.id, () => engine.updateTls(command.index, command.tls));
    case 'updateUpstreamTls':
      return void answer(command.id, () => engine.updateUpstreamTls(command.pool, command.tls));
    case 'peerTls':
      return void answer(command.id, () => peers.get(command.device)?.tls);
    case 'updateProxyProtocol':
      return void answer(command.id, () => engine.updateProxyProtocol(command.index, command.proxyProtocol));
    case 'open':
      return void answer(command.id, () => engine.open(command.index));
    case 'unlisten':
      return void answer(command.id, () => engine.unlisten(command.index));
    case 'peerFacts':
      return void answer(command.id, () => {
        const peer = peers.get(command.device);
        return { destination: peer?.destination, tlvs: peer?.tlvs };
      });
    case 'listening':
      return void answer(command.id, () => engine.listening(command.index));
    case 'leave':
      return void answer(command.id, () => engine.leave(command.index));
    case 'freeze':
      return void answer(command.id, () => engine.freeze(wireOf(command.device)));
    case 'thaw':
      return void answer(command.id, () => engine.thaw(wireOf(command.device)));
    case 'depart':
      return void answer(command.id, () => engine.depart(wireOf(command.device)));
    case 'adopt':
      return void answer(command.id, () => adopt(command.device, command.script, command.sockets));
    case 'stopAccepting':
      return void answer(command.id, () => engine.stopAccepting());
    case 'defer':
      return engine.defer(() => report({ told: 'answer', id: command.id }));
    case 'close':
      return void answer(command.id, () => engine.close());
    case 'wire': {
      const wire = wires.get(command.device);
      const method = wire?.[command.method] as ((...args: readonly unknown[]) => unknown) | undefined;
      try {
        method?.apply(wire, command.args.map(revived));
      } catch (error) {
        options.onFault(error);
      }
    }
  }
});
report({ told: 'ready', wakeFd: engine.wakeFd });
