import { readFileSync } from 'node:fs';
import type { Socket } from 'node:net';
import fc from 'fast-check';
import { beforeAll, describe, expect, it } from 'vitest';
import { type EngineName, KEEP_ALIVE_IDLE_SECONDS } from '../../src/engine/engine.ts';
import { engineScene } from '../support/engine-scene.ts';
import { type EngineUnderTest, type RemoteConnection, startEngine } from '../support/engine-under-test.ts';
import type { FakeNode } from '../support/fake-node.ts';
import { until } from '../support/wait.ts';

const HIGH_WATER = 65_536;
const LINK_LINGER_MS = 200;
/** More than the kernel takes at once. */
const FLOOD = 8 * 1024 * 1024;
/** /proc/net/tcp tells times in hundredths of a second (USER_HZ). */
const TICKS_A_SECOND = 100;

/** How long an engine waits for whom, and that it does so in whatever order it is asked; the same for every engine. */
export function engineLimits(name: EngineName): void {
  let engine: EngineUnderTest;
  let node: FakeNode;
  const sockets = engineScene(
    () => engine,
    (fresh) => {
      node = fresh;
    },
  );

  async function connect() {
    const pair = await engine.connect();
    sockets.push(pair.device);
    return pair;
  }

  async function dialled() {
    const pair = await connect();
    pair.connection.call('dial', node.target);
    const upstream = await node.link();
    sockets.push(upstream);
    await pair.connection.told('linkOpened');
    return { ...pair, upstream };
  }

  beforeAll(async () => {
    engine = await startEngine({ engine: name, highWaterBytes: HIGH_WATER, linkLingerMs: LINK_LINGER_MS });
  });

  describe('closing', () => {
    it('a device that was flushed is waited for until its connection resets it', async () => {
      const { device, connection } = await dialled();
      connection.write('device', 'bye');
      connection.call('endDevice', 'flush');
      connection.call('endNode', 0, 'flush'); // its node does not close either, and has less time
      connection.call('setTimer', 3 * LINK_LINGER_MS);
      await connection.told('timer');
      expect(connection.names()).toEqual(['accepted', 'linkOpened', 'timer']);
      connection.call('endDevice', 'reset');
      await connection.told('closed');
      expect(device.bytesRead).toBe(3);
    });

    it('a device that does not take its last bytes is, too', async () => {
      const { device, connection } = await connect();
      device.pause();
      connection.call('toDevice', new Uint8Array(FLOOD), 0, FLOOD);
      connection.call('endDevice', 'flush');
      connection.call('setTimer', LINK_LINGER_MS);
      await connection.told('timer');
      expect(connection.names()).toEqual(['accepted', 'timer']);
      connection.call('endDevice', 'reset');
      await connection.told('closed');
    });

    it('a device that was flushed is read to its end, also where it is held after that', async () => {
      const { device, connection } = await connect();
      connection.call('endDevice', 'flush');
      connection.call('holdDevice', true);
      await engine.defer();
      device.end('ignored');
      await connection.told('closed');
      expect(connection.names()).toEqual(['accepted', 'closed']);
    });

    it('a link that was flushed is reset when its time is over, also where the node goes on speaking', async () => {
      const { device, connection, upstream } = await dialled();
      connection.call('endNode', 0, 'flush');
      device.resetAndDestroy();
      const speaks = setInterval(() => upstream.write('still here'), LINK_LINGER_MS / 10);
      await connection.told('closed').finally(() => clearInterval(speaks));
    });
  });

  describe.runIf(process.platform === 'linux')('a silent peer', () => {
    it('is asked after half a minute whether it is there (TCP keep-alive)', async () => {
      const { device, upstream } = await dialled();
      for (const peer of [device, upstream]) {
        const ticks = await until(() => keepAliveTicks(peer), 'the timer of keep-alive');
        expect(ticks).toBeLessThanOrEqual(KEEP_ALIVE_IDLE_SECONDS * TICKS_A_SECOND);
      }
    });
  });

  describe('whatever a connection asks for, in whatever order', () => {
    it('is no fault, and ends with one `closed`', { timeout: 60_000 }, async () => {
      await fc.assert(
        fc.asyncProperty(
          fc.array(fc.constantFrom(...steps), { minLength: 4, maxLength: 24 }),
          async (each) => {
            const play = new Play(engine, node, await engine.connect());
            for (const step of each) await play[step]();
            const told = await play.over();
            expect(told.filter((event) => event === 'closed')).toHaveLength(1);
            expect(engine.faults).toEqual([]);
          },
        ),
        { numRuns: 150 },
      );
    });
  });
}

/** Until when the engine's end of this connection is left in peace, in ticks; undefined while no such timer runs. */
function keepAliveTicks({ localPort, remotePort }: Socket): number | undefined {
  const portOf = (address: string | undefined): number => Number.parseInt(address?.split(':')[1] ?? '', 16);
  for (const row of readFileSync('/proc/self/net/tcp', 'latin1').split('\n').slice(1)) {
    const [, local, remote, , , timer = ''] = row.trim().split(/\s+/);
    if (portOf(local) !== remotePort || portOf(remote) !== localPort) continue;
    const [kind, ticks = ''] = timer.split(':');
    return kind === '02' ? Number.parseInt(ticks, 16) : undefined;
  }
  return undefined;
}

/** What may happen to a connection. */
const steps = [
  ...(['pause', 'dial', 'dialNowhere', 'splice'] as const),
  ...(['deviceSends', 'deviceEnds', 'deviceResets', 'deviceIsSlow'] as const),
  ...(['nodeSends', 'nodeEnds', 'nodeResets', 'nodeIsSlow'] as const),
  ...(['toDevice', 'floodDevice', 'toNode', 'floodNode', 'holdDevice', 'holdNode', 'readAll'] as const),
  ...(['finishNode', 'flushNode', 'resetNode', 'flushDevice', 'resetDevice'] as const),
];

/** One connection, its device, and its nodes. Asks for nothing that `Wire` does not allow. */
class Play {
  private readonly engine: EngineUnderTest;
  private readonly node: FakeNode;
  private readonly device: Socket;
  private readonly connection: RemoteConnection;
  private readonly upstreams: Socket[] = [];
  private link = -1;
  private isEnding = false;
  private isSpliced = false;

  constructor(
    engine: EngineUnderTest,
    node: FakeNode,
    { device, connection }: Awaited<ReturnType<EngineUnderTest['connect']>>,
  ) {
    this.engine = engine;
    this.node = node;
    this.device = device;
    this.connection = connection;
    device.resume();
  }

  private get upstream(): Socket | undefined {
    return this.upstreams.at(-1);
  }

  /** The newest link was told to be open, and not to be over. */
  private get isOpen(): boolean {
    const told = this.connection.events
      .filter(({ args }) => args[0] === this.link)
      .map((event) => event.name);
    return told.includes('linkOpened') && !told.includes('linkEnded');
  }

  pause = () => this.engine.defer();
  readAll = () => {
    this.connection.call('holdDevice', false);
    for (let link = 0; link <= this.link; link++) this.connection.call('holdNode', link, false);
  };

  dial = async () => {
    if (this.isEnding || this.isSpliced || this.upstreams.length > 1) return;
    this.link++;
    this.connection.call('dial', this.node.target);
    const link = this.link;
    await until(() => this.isGone() || this.hasOpened(link), 'the link to open');
    if (this.isGone()) return;
    this.upstreams.push((await this.node.link()).resume());
  };
  /** Nobody listens there. */
  dialNowhere = () => {
    if (this.isEnding || this.isSpliced) return;
    this.link++;
    this.connection.call('dial', { ...this.node.target, port: 1 });
  };
  splice = () => {
    if (this.isEnding || this.isSpliced || !this.isOpen) return;
    this.isSpliced = true;
    this.connection.call('splice', this.link);
  };

  deviceSends = () => void (this.device.writable && this.device.write('from the device'));
  deviceEnds = () => void this.device.end();
  deviceResets = () => void this.device.resetAndDestroy();
  deviceIsSlow = () => void this.device.pause();
  nodeSends = () => void (this.upstream?.writable && this.upstream.write('from the node'));
  nodeEnds = () => void this.upstream?.end();
  nodeResets = () => void this.upstream?.resetAndDestroy();
  nodeIsSlow = () => void this.upstream?.pause();

  toDevice = () => this.connection.write('device', 'to the device');
  floodDevice = () => this.connection.call('toDevice', new Uint8Array(FLOOD), 0, FLOOD);
  toNode = () => void (this.isOpen && this.connection.write(this.link, 'to the node'));
  floodNode = () =>
    void (this.isOpen && this.connection.call('toNode', this.link, new Uint8Array(FLOOD), 0, FLOOD));
  holdDevice = () => this.connection.call('holdDevice', true);
  holdNode = () => this.connection.call('holdNode', this.link, true);

  finishNode = () => this.connection.call('finishNode', this.link);
  flushNode = () => this.leaveNode('flush');
  resetNode = () => this.leaveNode('reset');
  private leaveNode(how: 'flush' | 'reset'): void {
    this.connection.call('endNode', this.link, how);
    this.isSpliced = false;
  }
  flushDevice = () => this.leaveDevice('flush');
  resetDevice = () => this.leaveDevice('reset');
  private leaveDevice(how: 'flush' | 'reset'): void {
    this.isEnding = true;
    this.connection.call('endDevice', how);
  }

  private isGone(): boolean {
    return this.connection.names().includes('closed');
  }

  private hasOpened(link: number): boolean {
    return this.connection.events.some((event) => event.name === 'linkOpened' && event.args[0] === link);
  }

  /** Everything is reset; the names of all that was told. */
  async over(): Promise<string[]> {
    for (let link = 0; link <= this.link; link++) this.connection.call('endNode', link, 'reset');
    this.connection.call('endDevice', 'reset');
    await this.connection.told('closed');
    await this.engine.defer();
    for (const socket of [this.device, ...this.upstreams]) socket.destroy();
    return this.connection.names();
  }
}
