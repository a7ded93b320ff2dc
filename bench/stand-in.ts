import { parseArgs } from 'node:util';
import type { Link, Target, Wire, WireEvents } from '../src/connection/wire.ts';
import { createEngine } from '../src/engine/create.ts';
import type { EngineName } from '../src/engine/engine.ts';
import type { LinuxOptions } from '../src/engine/linux/engine.ts';

/** The least proxy that an engine can carry: reads CONNECT, dials, waits for CONNACK, and lets the bytes pass. */
const { values } = parseArgs({
  options: {
    engine: { type: 'string', default: 'epoll' },
    port: { type: 'string', default: '0' },
    node: { type: 'string', default: '1883' },
  },
});
const target: Target = { slot: 0, nodeId: 'sink', host: '127.0.0.1', port: Number(values.node) };

class StandIn implements WireEvents {
  private readonly wire: Wire;
  private connect: Uint8Array | undefined;

  constructor(wire: Wire) {
    this.wire = wire;
    wire.setTimer(10_000);
  }

  deviceData(bytes: Uint8Array, start: number, end: number): void {
    this.connect = Buffer.copyBytesFrom(bytes, start, end - start);
    this.wire.holdDevice(true);
    this.wire.dial(target);
  }

  linkOpened(link: Link): void {
    if (this.connect === undefined) return;
    this.wire.toNode(link, this.connect, 0, this.connect.length);
    this.connect = undefined;
  }

  linkData(link: Link, bytes: Uint8Array, start: number, end: number): void {
    this.wire.setTimer(0);
    this.wire.toDevice(bytes, start, end);
    this.wire.splice(link);
    this.wire.holdDevice(false);
  }

  deviceEnded(): void {
    this.wire.endNode(0, 'reset');
    this.wire.endDevice('reset');
  }

  linkEnded(link: Link): void {
    this.wire.endNode(link, 'reset');
    this.wire.endDevice('flush');
  }

  linkFailed(): void {
    this.wire.endDevice('reset');
  }

  timer(): void {
    this.wire.endNode(0, 'reset');
    this.wire.endDevice('reset');
  }

  closed(): void {}
}

const options: LinuxOptions = {
  accept: (wire) => new StandIn(wire),
  highWaterBytes: 65_536,
  onFault: (error) => console.error(error),
  onAcceptPaused: (reason) => console.error(`accept paused: ${reason}`),
  onAcceptResumed: () => console.error('accept resumed'),
};
const engine = createEngine(values.engine as EngineName, options);
const bound = await engine.listen({ index: 0, host: '127.0.0.1', port: Number(values.port) });
console.error(`listening on ${bound.port}`);
