import { once } from 'node:events';
import { readdirSync } from 'node:fs';
import { connect as dial, type Socket } from 'node:net';
import { beforeAll, describe, expect, it } from 'vitest';
import type { Target } from '../../src/connection/wire.ts';
import type { EngineName } from '../../src/engine/engine.ts';
import { loadLibc } from '../../src/engine/linux/libc.ts';
import { AT, BEAT, BEGAN, LONGEST, PULSE_DOUBLES } from '../../src/engine/pulse.ts';
import type { UringSizes } from '../../src/engine/uring/driver.ts';
import { NodeAddresses } from '../../src/nodes/addresses.ts';
import { blackHole } from '../support/black-hole.ts';
import { engineScene } from '../support/engine-scene.ts';
import { type EngineUnderTest, type RemoteConnection, startEngine } from '../support/engine-under-test.ts';
import {
  bytesOf,
  digest,
  endOf,
  type FakeNode,
  firstBytes,
  payload,
  received,
} from '../support/fake-node.ts';
import { freePort } from '../support/free-port.ts';
import { until } from '../support/wait.ts';

const HIGH_WATER = 65_536;
/** More than the kernel's buffers of two sockets and the engine's own hold where nobody reads. */
const FLOOD = 16 * 1024 * 1024;

const MSG_OOB = 1;

/** Node has no way to say so. */
function sendUrgent(socket: Socket): void {
  const libc = loadLibc();
  const { fd } = (socket as unknown as { _handle: { fd: number } })._handle;
  expect(libc.send(fd, libc.pin(1).address, 1, MSG_OOB)).toBe(1);
}

/**
 * What `Engine`, `Wire` and `WireEvents` promise, checked with real sockets against an engine in its own thread. With sizes of
 * rings, only what may depend on how much they hold.
 */
export function engineContract(name: EngineName, sizes?: UringSizes): void {
  const base = { engine: name, ...(sizes && { sizes }), highWaterBytes: HIGH_WATER };
  const describeWhole = (what: string, tests: () => void): void => {
    if (sizes === undefined) describe(what, tests);
  };
  /** Open, but where a test closes it. */
  const gate = new Int32Array(new SharedArrayBuffer(4)).fill(1);
  const pulse = new Float64Array(new SharedArrayBuffer(PULSE_DOUBLES * 8));
  const traffic = new Float64Array(new SharedArrayBuffer(10 * 8));
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

  async function link(): Promise<Socket> {
    const socket = await node.link();
    sockets.push(socket);
    return socket;
  }

  /** A device, its connection, and its link at the node, relayed or forwarded by the script. */
  async function through(script: 'relay' | 'forward') {
    await engine.script(script, node.target);
    const pair = await connect();
    const upstream = await link();
    await pair.connection.told('linkOpened');
    return { ...pair, upstream };
  }

  /** What `stillTakes` says when a timer fires. */
  async function takes(connection: RemoteConnection): Promise<boolean> {
    const timers = () => connection.events.filter(({ name }) => name === 'timer');
    const before = timers().length;
    connection.call('setTimer', 20);
    await until(() => timers().length > before, 'the timer');
    return timers().at(-1)?.args[0] === true;
  }

  async function dialled(script: 'manual' | 'fill' | 'leave' = 'manual') {
    await engine.script(script);
    const pair = await connect();
    pair.connection.call('dial', node.target);
    const upstream = await link();
    await pair.connection.told('linkOpened');
    return { ...pair, upstream };
  }

  function openGate(): void {
    Atomics.store(gate, 0, 1);
    Atomics.notify(gate, 0);
  }

  beforeAll(async () => {
    engine = await startEngine({ ...base, gate, pulse, traffic });
  });

  describeWhole('listening', () => {
    it('says which listener accepted, and who connected', async () => {
      const bound = await engine.listen('127.0.0.1', 0, 7);
      expect(bound.host).toBe('127.0.0.1');
      const { device, connection } = await engine.connect(bound.port);
      sockets.push(device);
      expect(await connection.told('accepted')).toEqual([7, '127.0.0.1']);
    });

    it.each([
      ['127.0.0.1', '127.0.0.1'],
      ['0.0.0.0', '127.0.0.1'],
      ['::', '127.0.0.1'],
    ])('at %s knows where a device connected to', async (host, address) => {
      const bound = await engine.listen(host, 0, 9);
      const { device } = await engine.connect(bound.port);
      sockets.push(device);
      expect(await engine.peerFacts(device.localPort as number)).toEqual({
        destination: { address, port: bound.port },
      });
    });

    it('shows an IPv4 device of a dual-stack listener as IPv4', async () => {
      const bound = await engine.listen('::', 0, 8);
      const { device, connection } = await engine.connect(bound.port);
      sockets.push(device);
      expect(await connection.told('accepted')).toEqual([8, '127.0.0.1']);
    });

    it('refuses an address that another program uses', async () => {
      await expect(engine.listen('127.0.0.1', node.target.port)).rejects.toMatchObject({
        code: 'ADDRESS_IN_USE',
      });
    });

    it('refuses an address that is not of this machine', async () => {
      await expect(engine.listen('192.0.2.1', 0)).rejects.toMatchObject({ code: 'ADDRESS_NOT_AVAILABLE' });
    });

    it('takes devices at several addresses of both families at one time', async () => {
      const hosts = ['127.0.0.1', '127.0.0.2', '::1', '::'];
      const bound = await Promise.all(hosts.map((host, i) => engine.listen(host, 0, 20 + i)));
      expect(bound.map(({ host }) => host)).toEqual(hosts);
      const dials: readonly (readonly [number, string, string])[] = [
        [0, '127.0.0.1', '127.0.0.1'],
        [1, '127.0.0.2', '127.0.0.1'],
        [2, '::1', '::1'],
        [3, '127.0.0.1', '127.0.0.1'],
        [3, '::1', '::1'],
      ];
      for (const [i, host, from] of dials) {
        const { device, connection } = await engine.connect(bound[i]?.port, host);
        sockets.push(device);
        expect(await connection.told('accepted')).toEqual([20 + i, from]);
      }
    });

    it('accepts nobody at a listener that is held before it is opened: whoever connects waits', async () => {
      const { port } = await engine.hold(0, 12);
      const early = dial({ port, host: '127.0.0.1', allowHalfOpen: true });
      const gone = dial(port, '127.0.0.1');
      sockets.push(early, gone);
      await Promise.all([once(early, 'connect'), once(gone, 'connect')]);
      early.write('hello');
      gone.resetAndDestroy();
      await engine.connect().then(({ device }) => sockets.push(device)); // elsewhere nobody waits
      const waits = engine.connection(early.localPort as number);
      expect(waits.names()).toEqual([]);
      await engine.open(12);
      expect(await waits.told('accepted')).toEqual([12, '127.0.0.1']);
      expect(await waits.text('deviceData', 5)).toBe('hello');
      sockets.push((await engine.connect(port)).device);
    });

    it('resets whoever waits at one that is closed before it was opened', async () => {
      const { port } = await engine.hold(0, 13);
      const early = dial(port, '127.0.0.1');
      const end = endOf(early);
      await once(early, 'connect');
      await engine.unlisten(13);
      expect(await end).toBe('ECONNRESET');
      await engine.listen('127.0.0.1', port, 13);
      sockets.push((await engine.connect(port)).device);
    });

    it('stops at one listener, whose devices go on, and can begin there again', async () => {
      const { port } = await engine.listen('127.0.0.1', 0, 9);
      const { device, connection } = await engine.connect(port);
      sockets.push(device);
      await engine.unlisten(9);
      expect(await endOf(dial(port, '127.0.0.1'))).toBe('ECONNREFUSED');
      device.write('still here');
      expect(await connection.text('deviceData', 10)).toBe('still here');
      sockets.push((await engine.connect()).device); // the other listener

      await engine.listen('127.0.0.1', port, 9);
      const again = await engine.connect(port);
      sockets.push(again.device);
      expect(await again.connection.told('accepted')).toEqual([9, '127.0.0.1']);
    });

    it('accepts where devices greet, those too that do not', async () => {
      const { port } = await engine.listen('127.0.0.1', 0, 8, undefined, undefined, true);
      const silent = engine.connect(port);
      const greeting = dial(port, '127.0.0.1');
      greeting.write('hello');
      const { device, connection } = await silent; // matched by its port, so the other's bytes are not its own
      sockets.push(device, greeting);
      device.write('late');
      expect(await connection.text('deviceData', 4)).toBe('late');
    });

    it('hears no more of a device that was reset as soon as it was accepted', async () => {
      await engine.script('reset-on-accept');
      const { port } = await engine.listen('127.0.0.1', 0, 8, undefined, undefined, true);
      const device = dial(port, '127.0.0.1');
      device.write('hello');
      expect(await endOf(device)).toBe('ECONNRESET');
      await engine.defer();
      await engine.unlisten(8);
    });

    it('resets a device that is refused', async () => {
      await engine.script('refuse');
      const device = dial(engine.port, '127.0.0.1');
      expect(await endOf(device)).toBe('ECONNRESET');
    });
  });

  describe('device', () => {
    it('is read and written, and its bytes are counted', async () => {
      const { device, connection } = await connect();
      device.write('hello');
      expect(await connection.text('deviceData', 5)).toBe('hello');
      connection.write('device', 'answer');
      expect(await firstBytes(device, 6)).toBe('answer');
      device.end();
      expect(await connection.told('deviceEnded')).toEqual(['fin']);
      connection.call('endDevice', 'flush');
      expect(await connection.told('closed')).toEqual([5, 6]);
    });

    it('may still be written to after its FIN', async () => {
      const { device, connection } = await connect();
      device.end('bye');
      await connection.told('deviceEnded');
      connection.write('device', 'late');
      connection.call('endDevice', 'flush');
      expect((await received(device)).toString()).toBe('late');
    });

    it('is known to have reset also where its last bytes come together with that', async () => {
      const { device, connection } = await connect();
      connection.call('holdDevice', true);
      await engine.defer();
      device.write('last words', () => device.resetAndDestroy());
      await once(device, 'close');
      connection.call('holdDevice', false);
      expect(await connection.told('deviceEnded')).toEqual(['reset']);
      await connection.told('closed');
    });

    it('is flushed to the last byte before FIN, while what it still sends is discarded', async () => {
      const { device, connection } = await connect();
      const { bytes, digest: expected } = payload(4 * 1024 * 1024);
      connection.call('toDevice', new Uint8Array(bytes), 0, bytes.length);
      connection.call('endDevice', 'flush');
      await engine.defer();
      device.write('ignored');
      expect(digest(await received(device))).toBe(expected);
      device.end('ignored too');
      expect(await connection.told('closed')).toEqual([expect.any(Number), bytes.length]);
      expect(connection.names()).toEqual(['accepted', 'closed']);
    });

    it('that was ended still takes its bytes as long as it reads, and no longer', async () => {
      const { device, connection } = await connect();
      device.pause();
      const bytes = new Uint8Array(FLOOD / 256);
      for (let i = 0; i < 256; i++) connection.call('toDevice', bytes, 0, bytes.length);
      connection.call('endDevice', 'flush');
      await until(async () => !(await takes(connection)), 'it to be asked twice while it reads nothing');
      device.resume();
      await until(() => device.bytesRead > FLOOD / 4, 'it to read on');
      device.pause();
      expect(await takes(connection)).toBe(true);
      await until(async () => !(await takes(connection)), 'it to read nothing again');
      device.resume();
      await received(device);
      await until(async () => !(await takes(connection)), 'it to have taken all');
      device.end();
      expect(await connection.told('closed')).toEqual([0, FLOOD]);
    });

    it('is reset on request, also when it does not read what was flushed to it', async () => {
      const { device, connection } = await connect();
      device.pause();
      const bytes = new Uint8Array(FLOOD);
      connection.call('toDevice', bytes, 0, bytes.length);
      connection.call('endDevice', 'flush');
      connection.call('endDevice', 'reset');
      await connection.told('closed');
      await endOf(device);
      expect(device.bytesRead).toBeLessThan(FLOOD);
    });

    it('that resets is told once, with the cause', async () => {
      const { device, connection } = await connect();
      device.resetAndDestroy();
      expect(await connection.told('deviceEnded')).toEqual(['reset']);
      await connection.told('closed');
      expect(connection.names()).toEqual(['accepted', 'deviceEnded', 'closed']);
    });

    it.runIf(process.platform === 'linux')(
      'is read on behind an urgent byte, which is not given to anybody [RFC 6093]',
      async () => {
        const { device, connection } = await connect();
        connection.call('holdDevice', true); // so that all of it is there before it is read
        await engine.defer();
        device.write('before');
        sendUrgent(device);
        device.write('behind');
        await (await connect()).connection.told('accepted');
        connection.call('holdDevice', false);
        expect(await connection.text('deviceData', 12)).toBe('beforebehind');
      },
    );

    it('is not read while held', async () => {
      const { device, connection } = await connect();
      connection.call('holdDevice', true);
      await engine.defer();
      device.write('held');
      const other = await connect();
      other.device.write('other');
      await other.connection.text('deviceData', 5);
      expect(connection.names()).toEqual(['accepted']);
      connection.call('holdDevice', false);
      expect(await connection.text('deviceData', 4)).toBe('held');
    });
  });

  describe('links', () => {
    it('are dialled from the source address of the target', async () => {
      const { connection } = await connect();
      connection.call('dial', { ...node.target, sourceAddress: '127.0.0.9' });
      expect((await link()).remoteAddress).toBe('127.0.0.9');
    });

    it('begin with the header of the target, whatever comes first of the rest', async () => {
      const { device, connection } = await connect();
      connection.call('dial', { ...node.target, header: Buffer.from('header ') });
      await connection.told('linkOpened');
      device.write('from the device');
      await connection.text('deviceData', 15);
      connection.write(0, 'to the node');
      expect(await firstBytes(await link(), 18)).toBe('header to the node');
    });

    it('begin with the header in relay mode', async () => {
      await engine.script('relay', { ...node.target, header: Buffer.from('header ') });
      const { device, connection } = await connect();
      device.end('hello');
      const upstream = await link();
      expect((await received(upstream)).toString()).toBe('header hello');
      upstream.end();
      expect(await connection.told('closed')).toEqual([5, 0]);
    });

    it('are numbered, opened, written and read', async () => {
      const { connection, upstream } = await dialled();
      expect(await connection.told('linkOpened')).toEqual([0]);
      connection.write(0, 'to the node');
      expect(await firstBytes(upstream, 11)).toBe('to the node');
      upstream.write('from the node');
      expect(await connection.text('linkData', 13)).toBe('from the node');
      upstream.end();
      expect(await connection.told('linkEnded')).toEqual([0, 'fin']);
      connection.write(0, '!');
      connection.call('endNode', 0, 'flush');
      expect((await received(upstream)).toString()).toBe('!');
    });

    it('say why they failed, after the dial has returned', async () => {
      const { connection } = await connect();
      connection.call('dial', { ...node.target, port: await freePort() });
      expect(await connection.told('linkFailed')).toEqual([0, 'ECONNREFUSED']);
      connection.call('dial', node.target);
      expect(await connection.told('linkOpened')).toEqual([1]);
    });

    it.each([
      ['::1'],
      ['127.0.0.2'],
    ])('try every address of a node in one dial: %s refuses', async (refusing) => {
      const { connection } = await connect();
      const addresses = new NodeAddresses([refusing, '127.0.0.3', '127.0.0.1']);
      connection.call('dial', { ...node.target, addresses });
      await link();
      expect(await connection.told('linkOpened')).toEqual([0]);
      connection.write(0, 'hello');
      connection.call('dial', { ...node.target, addresses: new NodeAddresses([refusing, '127.0.0.3']) });
      expect(await connection.told('linkFailed')).toEqual([1, 'ECONNREFUSED']);
    });

    it('wait for no address that does not answer while another could', async () => {
      await blackHole('127.0.0.2', node.target.port);
      const { connection, device } = await connect();
      connection.call('dial', { ...node.target, addresses: new NodeAddresses(['127.0.0.2', '127.0.0.1']) });
      const upstream = await link();
      expect(await connection.told('linkOpened')).toEqual([0]);
      connection.write(0, 'hello');
      expect(await firstBytes(upstream, 5)).toBe('hello');
      connection.call('dial', { ...node.target, addresses: new NodeAddresses(['127.0.0.2', '127.0.0.1']) });
      for (const each of [0, 1]) connection.call('endNode', each, 'reset');
      device.resetAndDestroy();
      await connection.told('closed');
    });

    it('that fail at once are not told inside the dial', async () => {
      await engine.script('forward', { ...node.target, host: '255.255.255.255' } satisfies Target);
      const { connection } = await connect();
      expect((await connection.told('linkFailed'))[0]).toBe(0);
    });

    it('are not read while held', async () => {
      const { connection, upstream } = await dialled();
      connection.call('holdNode', 0, true);
      await engine.defer();
      upstream.write('held');
      const other = await connect();
      other.device.write('other');
      await other.connection.text('deviceData', 5);
      expect(connection.names()).not.toContain('linkData');
      connection.write('device', 'the device is read and written all the same');
      connection.call('holdNode', 0, false);
      expect(await connection.text('linkData', 4)).toBe('held');
    });

    it('are fenced: after endNode nothing of a link is told, and the next link takes over', async () => {
      const { connection, upstream } = await dialled();
      connection.call('endNode', 0, 'reset');
      connection.call('dial', node.target);
      expect(await endOf(upstream)).toBe('ECONNRESET');
      const second = await link();
      second.write('second');
      expect(await connection.text('linkData', 6)).toBe('second');
      expect(connection.names()).toEqual(['accepted', 'linkOpened', 'linkOpened', 'linkData']);
    });

    it('that follow one that was reset have nothing of it', async () => {
      const ports = new Set<number | undefined>();
      for (let life = 0; life < 5; life++) {
        const { connection, device, upstream } = await dialled();
        ports.add(upstream.remotePort);
        connection.call('holdDevice', true);
        connection.write(0, `to the node in life ${life}`); // some of it is never read
        upstream.write(`from the node in life ${life}`);
        expect(await connection.text('linkData', 23)).toBe(`from the node in life ${life}`);
        upstream.write('late');
        connection.call('endNode', 0, 'reset');
        connection.call('endDevice', 'reset');
        expect(await endOf(upstream)).toBe('ECONNRESET');
        await connection.told('closed');
        expect(connection.names().filter((event) => event !== 'linkData')).toEqual([
          ...['accepted', 'linkOpened', 'closed'],
        ]);
        device.destroy();
      }
      expect(ports.size).toBe(5);
      const { connection, upstream } = await dialled();
      connection.write(0, 'bye');
      connection.call('endNode', 0, 'flush');
      expect((await received(upstream)).toString()).toBe('bye');
    });

    it('that follow one that was reset fail as any other', async () => {
      const { connection } = await dialled();
      connection.call('endNode', 0, 'reset');
      await engine.defer();
      connection.call('dial', { ...node.target, port: await freePort() });
      expect(await connection.told('linkFailed')).toEqual([1, 'ECONNREFUSED']);
      connection.call('dial', node.target);
      (await link()).write('third');
      expect(await connection.text('linkData', 5)).toBe('third');
    });

    it('may be two for a while', async () => {
      const { connection, upstream } = await dialled();
      connection.call('dial', node.target);
      const second = await link();
      await until(
        () => connection.names().filter((event) => event === 'linkOpened').length === 2,
        'both links',
      );
      connection.write(0, 'old');
      connection.write(1, 'new');
      expect(await Promise.all([firstBytes(upstream, 3), firstBytes(second, 3)])).toEqual(['old', 'new']);
      connection.call('endNode', 0, 'flush');
      expect(await endOf(upstream)).toBe('fin');
      second.write('still here');
      expect(await connection.text('linkData', 10)).toBe('still here');
    });

    it('that are left hear the node out: what it still says meets no reset [MQTT-3.14.4-3]', async () => {
      const { device, connection, upstream } = await dialled();
      connection.write(0, 'goodbye');
      connection.call('endNode', 0, 'flush');
      expect(await endOf(upstream)).toBe('fin');
      for (let answer = 0; answer < 3; answer++) {
        await new Promise((written) => upstream.write('late answer', written));
        await engine.defer();
      }
      expect([upstream.errored, upstream.destroyed]).toEqual([null, false]);
      device.resetAndDestroy();
      await connection.told('deviceEnded');
      await engine.defer();
      expect(connection.names()).not.toContain('closed');
      upstream.end();
      await connection.told('closed');
      expect(connection.names()).not.toContain('linkData');
    });

    it('that are left say when the node has closed them, not before, and ahead of the end of the connection', async () => {
      const { device, connection, upstream } = await dialled('leave');
      device.write('x');
      expect(await endOf(upstream)).toBe('fin');
      device.resetAndDestroy();
      await connection.told('deviceEnded');
      await engine.defer();
      expect(connection.names()).not.toContain('linkClosed');
      upstream.end();
      await connection.told('closed');
      expect(connection.names().slice(-2)).toEqual(['linkClosed', 'closed']);
    });

    it('that are closed already when they are left say so at once', async () => {
      const { device, connection, upstream } = await dialled('leave');
      upstream.resetAndDestroy();
      await connection.told('linkEnded');
      device.write('x');
      await connection.told('linkClosed');
    });

    it.each([
      'flush',
      'reset',
    ] as const)('that do not drain and are left (%s) hold up the device no longer', async (how) => {
      const { device, connection, upstream } = await dialled();
      upstream.pause();
      connection.call('toNode', 0, new Uint8Array(FLOOD), 0, FLOOD);
      await engine.defer();
      device.write('again');
      await engine.defer();
      expect(connection.names()).not.toContain('deviceData');
      connection.call('endNode', 0, how);
      expect(await connection.text('deviceData', 5)).toBe('again');
    });

    it('that are reset before they drain hold up the device no longer', async () => {
      const { device, connection, upstream } = await dialled();
      upstream.pause();
      connection.call('toNode', 0, new Uint8Array(FLOOD), 0, FLOOD);
      await engine.defer();
      device.write('again');
      await engine.defer();
      upstream.resetAndDestroy();
      await connection.told('linkEnded');
      expect(await connection.text('deviceData', 5)).toBe('again');
    });

    it.each([
      'is reset',
      'resets',
    ] as const)('are read on when the device that they waited for %s', async (how) => {
      const { device, connection, upstream } = await dialled();
      device.pause();
      connection.call('toDevice', new Uint8Array(FLOOD), 0, FLOOD);
      await engine.defer();
      upstream.write('last words');
      await engine.defer();
      expect(connection.names()).not.toContain('linkData');
      if (how === 'resets') device.resetAndDestroy();
      else connection.call('endDevice', 'reset');
      expect(await connection.text('linkData', 10)).toBe('last words');
    });

    it('may be five at once, of a connection whose device goes', async () => {
      await engine.script('manual');
      const { device, connection } = await connect();
      const upstreams: Socket[] = [];
      for (let i = 0; i < 5; i++) {
        connection.call('dial', node.target);
        upstreams.push(await link());
      }
      connection.call('endDevice', 'flush');
      device.end();
      await until(
        () => connection.names().filter((event) => event === 'linkOpened').length === 5,
        'every link',
      );
      for (const i of upstreams.keys()) connection.write(i, `${i}`);
      expect(await Promise.all(upstreams.map((socket) => firstBytes(socket, 1)))).toEqual([...'01234']);
      for (const [i, socket] of upstreams.entries()) socket.write(`${i}`);
      expect([...(await connection.text('linkData', 5))].sort()).toEqual([...'01234']);
      for (const i of upstreams.keys()) connection.call('endNode', i, 'reset');
      await connection.told('closed');
    });

    it('may still be dialled when the last socket has closed, until closed is told', async () => {
      await engine.script('go-on-alone', node.target);
      const { device, connection } = await connect();
      connection.call('dial', node.target);
      await link();
      await connection.told('linkOpened');
      device.resetAndDestroy();
      const second = await link();
      const opened = (): number => connection.names().filter((event) => event === 'linkOpened').length;
      await until(() => opened() === 2, 'the second link');
      const other = await connect(); // must not get what is the former's
      connection.write(1, 'hello');
      expect(await firstBytes(second, 5)).toBe('hello');
      expect(connection.names()).toEqual(['accepted', 'linkOpened', 'deviceEnded', 'linkOpened']);
      connection.call('endNode', 1, 'reset');
      await connection.told('closed');
      expect(other.connection.names()).toEqual(['accepted']);
    });

    it('that fail one after another keep a connection without a device', async () => {
      const port = await freePort();
      await engine.script('go-on-alone', { ...node.target, port });
      const { device, connection } = await connect();
      device.resetAndDestroy();
      const failures = (): number => connection.names().filter((event) => event === 'linkFailed').length;
      await until(() => failures() > 2, 'the third attempt');
      expect(connection.names()).not.toContain('closed');
      await engine.script('go-on-alone', node.target);
      await link();
      await connection.told('linkOpened');
      connection.call('endNode', failures(), 'reset');
      await connection.told('closed');
    });

    it('that are reset are told with the cause', async () => {
      const { connection, upstream } = await dialled();
      upstream.resetAndDestroy();
      expect(await connection.told('linkEnded')).toEqual([0, 'reset']);
    });

    it('that are reset are heard to the last byte, also where bytes to them fail before that is told', async () => {
      await engine.script('fill-late');
      const { device, connection } = await connect();
      connection.call('dial', node.target);
      const upstream = await link();
      await connection.told('linkOpened');
      Atomics.store(gate, 0, 0);
      try {
        device.write('too late');
        await connection.told('waits');
        const words = 'last words '.repeat(10_000);
        upstream.write(words, () => upstream.resetAndDestroy());
        await once(upstream, 'close');
        openGate();
        expect(await connection.told('linkEnded')).toEqual([0, 'reset']);
        const heard = connection.events.filter(({ name }) => name === 'linkData').map(({ args }) => args[1]);
        expect(heard.join('')).toBe(words);
      } finally {
        openGate();
      }
    });

    it('end with the connection: closed is told when the last socket is gone', async () => {
      const { device, connection } = await dialled();
      device.resetAndDestroy();
      await connection.told('deviceEnded');
      await engine.defer();
      expect(connection.names()).not.toContain('closed');
      connection.call('endNode', 0, 'reset');
      await connection.told('closed');
    });
  });

  for (const script of ['relay', 'forward'] as const) {
    describe(`${script}ed bytes`, () => {
      it('arrive whole and in order in both directions at once, and are counted', async () => {
        const { device, connection, upstream } = await through(script);
        const [up, down] = [payload(3_000_001), payload(4_000_001)];
        const arrived = Promise.all([bytesOf(upstream, up.bytes.length), bytesOf(device, down.bytes.length)]);
        device.write(up.bytes);
        upstream.write(down.bytes);
        const [atNode, atDevice] = await arrived;
        device.end();
        upstream.end();
        expect([digest(atNode), digest(atDevice)]).toEqual([up.digest, down.digest]);
        expect(await connection.told('closed')).toEqual([up.bytes.length, down.bytes.length]);
      });

      it('wait at the node while the device does not read', async () => {
        const { device, upstream } = await through(script);
        device.pause();
        const { bytes, digest: expected } = payload(FLOOD);
        upstream.write(bytes);
        await stalled(upstream);
        const arrived = received(device);
        upstream.end();
        expect(digest(await arrived)).toBe(expected);
      });

      it('wait at the device while the node does not read', async () => {
        const { device, upstream } = await through(script);
        upstream.pause();
        const { bytes, digest: expected } = payload(FLOOD);
        device.write(bytes);
        await stalled(device);
        const arrived = received(upstream);
        device.end();
        expect(digest(await arrived)).toBe(expected);
      });

      it('of one busy connection do not starve another', async () => {
        const busy = await through(script);
        busy.upstream.resume();
        let flooding = true;
        const flood = Buffer.alloc(1 << 20);
        const pour = (): void => {
          while (flooding && busy.device.write(flood));
        };
        busy.device.on('drain', pour);
        pour();
        const calm = await through(script);
        calm.upstream.pipe(calm.upstream);
        for (let i = 0; i < 10; i++) {
          calm.device.write('ping');
          expect(await firstBytes(calm.device, 4)).toBe('ping');
        }
        flooding = false;
      });
    });
  }

  describe('finishDevice', () => {
    it('sends FIN behind what waits; the device is still heard, and its end told', async () => {
      const { device, connection } = await dialled();
      const { bytes, digest: expected } = payload(3_000_000);
      connection.call('toDevice', bytes, 0, bytes.length);
      connection.call('finishDevice');
      connection.call('toDevice', bytes, 0, bytes.length); // nothing follows a FIN
      expect(digest(await received(device))).toBe(expected);
      device.end('answer');
      expect(await connection.text('deviceData', 6)).toBe('answer');
      expect(await connection.told('deviceEnded')).toEqual(['fin']);
      connection.call('endNode', 0, 'reset');
      connection.call('endDevice', 'flush');
      await connection.told('closed');
    });

    it('of a link that has ended its side: what the device says still goes there', async () => {
      const { device, connection, upstream } = await dialled();
      upstream.end();
      expect(await connection.told('linkEnded')).toEqual([0, 'fin']);
      connection.call('finishDevice');
      expect(await endOf(device)).toBe('fin');
      const bytes = Buffer.from('last words');
      connection.call('toNode', 0, bytes, 0, bytes.length);
      connection.call('endNode', 0, 'flush');
      expect((await received(upstream)).toString()).toBe('last words');
      connection.call('endDevice', 'flush');
      device.end();
      await connection.told('closed');
    });
  });

  describe('finishNode', () => {
    it('sends FIN behind what waits; the node is still heard, and its end told', async () => {
      const { device, connection, upstream } = await dialled();
      const { bytes, digest: expected } = payload(3_000_000);
      connection.call('toNode', 0, bytes, 0, bytes.length);
      connection.call('finishNode', 0);
      connection.call('toNode', 0, bytes, 0, bytes.length); // nothing follows a FIN
      expect(digest(await received(upstream))).toBe(expected);
      upstream.end('answer');
      expect(await connection.text('linkData', 6)).toBe('answer');
      expect(await connection.told('linkEnded')).toEqual([0, 'fin']);
      connection.call('endNode', 0, 'flush');
      connection.call('endDevice', 'flush');
      device.end();
      await connection.told('closed');
    });

    it('leaves the link to a splice, which carries the answer back', async () => {
      const { device, connection, upstream } = await dialled();
      device.end();
      await connection.told('deviceEnded');
      connection.call('finishNode', 0);
      expect(await endOf(upstream)).toBe('fin');
      connection.call('splice', 0);
      await engine.defer();
      upstream.end('answer');
      expect((await received(device)).toString()).toBe('answer');
      await connection.told('closed');
    });
  });

  describe('splice', () => {
    it('carries a FIN of the device behind its last byte, and the answer back', async () => {
      const { device, connection, upstream } = await through('relay');
      const { bytes, digest: expected } = payload(3_000_000);
      device.end('question');
      expect((await received(upstream)).toString()).toBe('question');
      expect(await connection.told('deviceEnded')).toEqual(['fin']);
      upstream.end(bytes);
      expect(digest(await received(device))).toBe(expected);
      expect(await connection.told('closed')).toEqual([8, bytes.length]);
    });

    it.each([
      'device',
      'node',
    ] as const)('carries what the %s reads late, although it has sent its FIN', async (who) => {
      const { device, upstream } = await through('relay');
      const [reader, speaker] = who === 'device' ? [device, upstream] : [upstream, device];
      reader.pause();
      reader.end('last');
      expect((await firstBytes(speaker, 4)).toString()).toBe('last');
      const { bytes, digest: expected } = payload(FLOOD);
      speaker.write(bytes);
      await stalled(speaker);
      const arrived = received(reader);
      speaker.end();
      expect(digest(await arrived)).toBe(expected);
    });

    it('carries a FIN of the node, and the rest of the device', async () => {
      const { device, connection, upstream } = await through('relay');
      upstream.end('bye');
      expect((await received(device)).toString()).toBe('bye');
      expect(await connection.told('linkEnded')).toEqual([0, 'fin']);
      device.end('last');
      expect((await received(upstream)).toString()).toBe('last');
      await connection.told('closed');
    });

    it('carries a FIN that came before it', async () => {
      const { device, connection, upstream } = await dialled();
      device.end();
      await connection.told('deviceEnded');
      connection.call('splice', 0);
      expect(await endOf(upstream)).toBe('fin');
    });

    it('resets the link when the device resets', async () => {
      const { device, connection, upstream } = await through('relay');
      device.resetAndDestroy();
      expect(await endOf(upstream)).toBe('ECONNRESET');
      expect(await connection.told('deviceEnded')).toEqual(['reset']);
      await connection.told('closed');
    });

    it('ends the device after the last byte when the node resets', async () => {
      const { device, connection, upstream } = await through('relay');
      upstream.write('last words', () => upstream.resetAndDestroy());
      expect((await received(device)).toString()).toBe('last words');
      expect(await connection.told('linkEnded')).toEqual([0, 'reset']);
      device.end();
      await connection.told('closed');
    });

    it('resets the link although the node does not read', async () => {
      const { device, connection, upstream } = await through('relay');
      upstream.pause();
      device.write(Buffer.alloc(FLOOD));
      await stalled(device);
      device.resetAndDestroy();
      expect(await connection.told('deviceEnded')).toEqual(['reset']);
      await connection.told('closed');
    });

    it('ends with endNode: the device speaks to the connection again', async () => {
      const { device, connection } = await through('relay');
      connection.call('endNode', 0, 'reset');
      await engine.defer();
      device.write('again');
      expect(await connection.text('deviceData', 5)).toBe('again');
    });
  });

  describeWhole('timer', () => {
    it('fires once, and a later setting replaces an earlier', async () => {
      const { connection } = await connect();
      const other = await connect();
      connection.call('setTimer', 60_000);
      connection.call('setTimer', 20);
      await connection.told('timer');
      other.connection.call('setTimer', 150);
      await other.connection.told('timer');
      expect(connection.names()).toEqual(['accepted', 'timer']);
    });

    it('is cleared with 0', async () => {
      const { connection } = await connect();
      const other = await connect();
      connection.call('setTimer', 20);
      connection.call('setTimer', 0);
      other.connection.call('setTimer', 150);
      await other.connection.told('timer');
      expect(connection.names()).toEqual(['accepted']);
    });
  });

  describe('later turns', () => {
    it('of connections that always want another one do not starve the others', async () => {
      await engine.script('toil');
      for (let i = 0; i < 3; i++) {
        const { device, connection } = await connect();
        device.write('go');
        await connection.told('toils');
      }
      const calm = await through('forward');
      calm.upstream.pipe(calm.upstream);
      for (let i = 0; i < 10; i++) {
        calm.device.write('ping');
        expect(await firstBytes(calm.device, 4)).toBe('ping');
      }
    });

    it.each([
      ['takes bytes again', (upstream: Socket) => upstream.resume()],
      ['is reset', (upstream: Socket) => upstream.resetAndDestroy()],
    ])('of a link that takes nothing wait until it %s', async (_, go) => {
      const { device, connection, upstream } = await dialled('fill');
      upstream.pause();
      device.write('go');
      await connection.told('turned');
      await engine.defer();
      expect(connection.names()).not.toContain('drained');
      go(upstream);
      await connection.told('drained');
    });

    it('of a link that is left wait no longer', async () => {
      const { device, connection, upstream } = await dialled('fill');
      upstream.pause();
      device.write('go');
      await connection.told('turned');
      connection.call('endNode', 0, 'reset');
      await connection.told('drained');
      expect(device.destroyed).toBe(false);
    });

    it('end with the connection', async () => {
      await engine.script('toil');
      const { device, connection } = await connect();
      device.write('go');
      await connection.told('toils');
      device.resetAndDestroy();
      await connection.told('closed');
      await engine.defer();
      expect(connection.names()).toEqual(['accepted', 'deviceData', 'toils', 'deviceEnded', 'closed']);
    });

    it('that fail reset their own connection only', async () => {
      const healthy = await connect();
      await engine.script('throw-in-turn');
      const { device, connection } = await connect();
      device.write('boom');
      expect(await endOf(device)).toBe('ECONNRESET');
      await connection.told('closed');
      expect(engine.faults.splice(0)).toEqual(['Error: scripted fault in a turn']);
      healthy.device.write('fine');
      expect(await healthy.connection.text('deviceData', 4)).toBe('fine');
    });
  });

  describeWhole('bytes of devices', () => {
    it.each([
      ['relay', 2, 4],
      ['manual', 6, 8],
    ] as const)('are counted where the connection says (%s)', async (script, place, next) => {
      await engine.script(script, node.target);
      const { device, connection } = await connect();
      device.write('before');
      if (script === 'manual') {
        await connection.text('deviceData', 6);
        connection.write('device', 'hello');
      } else (await link()).write('hello');
      await firstBytes(device, 5);
      connection.call('countAt', place);
      await until(() => traffic[place + 1] === 5, 'what was before');
      expect(traffic[place]).toBe(6);
      device.write('more');
      await until(() => traffic[place] === 10, 'what comes, as it comes');
      connection.call('countAt', next);
      await engine.defer();
      device.write('elsewhere');
      await until(() => traffic[next] === 9, 'what comes then, at the other place');
      expect([...traffic.subarray(place, place + 2)]).toEqual([10, 5]);
    });
  });

  describeWhole('signs of life', () => {
    it('tell the connection that does not come back, and how long it took', async () => {
      await until(() => pulse[BEAT] !== 0, 'the first sign of life');
      const before = pulse[BEAT];
      await until(() => pulse[BEAT] !== before, 'a sign of life where nothing happens');
      await engine.script('stick');
      const { device, connection } = await connect();
      Atomics.store(gate, 0, 0);
      try {
        device.write('go');
        await connection.told('sticks');
        await until(() => pulse[AT] === 77 && pulse[BEGAN] !== 0, 'the connection that it is at');
        const since = pulse[BEGAN] as number;
        pulse[LONGEST] = 0;
        openGate();
        await until(() => (pulse[BEAT] as number) > since && pulse[BEGAN] !== since, 'the turn to end');
        expect(pulse[LONGEST]).toBeGreaterThan(0);
      } finally {
        openGate();
      }
    });
  });

  describeWhole('faults', () => {
    it('reset their own connection only, and are told', async () => {
      const healthy = await connect();
      await engine.script('throw');
      const { device, connection } = await connect();
      device.write('boom');
      expect(await endOf(device)).toBe('ECONNRESET');
      await connection.told('closed');
      expect(engine.faults.splice(0)).toEqual(['Error: scripted fault']);
      healthy.device.write('fine');
      expect(await healthy.connection.text('deviceData', 4)).toBe('fine');
    });

    it.each([
      ['at once', '255.255.255.255'],
      ['later', '127.0.0.1'],
    ])('at a link that fails %s end the connection', async (_, host) => {
      const port = await freePort();
      await engine.script('throw-on-failed-link');
      const { device, connection } = await connect();
      connection.call('dial', { ...node.target, host, port });
      expect(await endOf(device)).toBe('ECONNRESET');
      await connection.told('closed');
      expect(engine.faults.splice(0)).toEqual(['Error: scripted fault at a failed link']);
    });

    it('in what one connection tells another reset the other only, and the caller goes on', async () => {
      const victim = await connect();
      await engine.script('disturb');
      const { device, connection } = await connect();
      device.write('go');
      expect(await endOf(victim.device)).toBe('ECONNRESET');
      await victim.connection.told('closed');
      expect(await connection.told('sum')).toEqual([3]);
      expect(engine.faults.splice(0)).toEqual(['Error: scripted fault in a guarded call']);
      expect(await connection.text('deviceData', 2)).toBe('go');
      expect(connection.names()).not.toContain('deviceEnded');
    });

    it('at accept reset the device', async () => {
      await engine.script('throw-on-accept');
      const device = dial(engine.port, '127.0.0.1');
      expect(await endOf(device)).toBe('ECONNRESET');
      await until(() => engine.faults.length > 0, 'the fault');
      expect(engine.faults.splice(0)).toEqual(['Error: scripted fault at accept']);
    });
  });

  describe('in the long run', () => {
    const open = (): number => readdirSync('/proc/self/fd').length;

    it('keeps no descriptor of connections that are gone', async () => {
      await engine.defer();
      const before = open();
      for (let round = 0; round < 5; round++) {
        const trios: Awaited<ReturnType<typeof through>>[] = [];
        while (trios.length < 21) trios.push(await through('relay'));
        trios.forEach(({ device, upstream }, i) => {
          if (i % 3 === 0) device.resetAndDestroy();
          else if (i % 3 === 1) upstream.resetAndDestroy();
          else device.end();
          upstream.on('end', () => upstream.end()).resume();
          device.on('end', () => device.end()).resume();
        });
        await Promise.all(trios.map(({ connection }) => connection.told('closed')));
        sockets.length = 0;
      }
      await until(() => open() <= before, `${before} descriptors, as before`);
    });
  });

  describe('stopping', () => {
    it('stops accepting while connections go on, then resets what is open', async () => {
      const mine = await startEngine(base);
      const { device, connection } = await mine.connect();
      await mine.stopAccepting();
      expect(await endOf(dial(mine.port, '127.0.0.1'))).toBe('ECONNREFUSED');
      device.write('on');
      expect(await connection.text('deviceData', 2)).toBe('on');
      const ended = endOf(device);
      await mine.close();
      expect(await ended).toBe('ECONNRESET');
      await connection.told('closed');
      await mine.stop();
    });
  });
}

/** Waits until a socket's own buffer holds bytes that the other side does not take any more. */
async function stalled(socket: Socket): Promise<void> {
  let last = -1;
  await until(() => {
    const now = socket.bytesWritten - socket.writableLength;
    const still = now === last && socket.writableLength > 0;
    last = now;
    return still;
  }, 'the sender to be held back');
}
