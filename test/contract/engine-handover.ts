import { fstatSync, readdirSync, readFileSync, readlinkSync } from 'node:fs';
import { connect as dial, type Socket } from 'node:net';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { descriptorsOf } from '../../src/engine/handed-sockets.ts';
import type { UringSizes } from '../../src/engine/uring/driver.ts';
import { blackHole } from '../support/black-hole.ts';
import { engineScene } from '../support/engine-scene.ts';
import { type EngineUnderTest, type RemoteConnection, startEngine } from '../support/engine-under-test.ts';
import type { Script } from '../support/engine-worker.ts';
import { digest, endOf, type FakeNode, firstBytes, payload, received } from '../support/fake-node.ts';
import { duplicate, duplicated, frozen, gathered, handOver, streamed } from '../support/hand-over.ts';
import type { LinuxEngineName } from '../support/linux-engines.ts';
import { until } from '../support/wait.ts';

const HIGH_WATER = 65_536;
/** A node may take so long to close a link that was left. */
const LINGER_MS = 2000;
const TRAFFIC_PLACES = 6;

/**
 * What engines promise of connections that are frozen, thawed, and handed over from one engine to another.
 * @param to the engine that takes them over
 * @param sizes of the rings of `uring`
 */
export function handOverContract(name: LinuxEngineName, to = name, sizes?: UringSizes): void {
  let engine: EngineUnderTest;
  let other: EngineUnderTest;
  let node: FakeNode;
  const traffic = new Float64Array(new SharedArrayBuffer(8 * TRAFFIC_PLACES));
  const sockets = engineScene(
    () => engine,
    (fresh) => {
      node = fresh;
    },
  );

  beforeAll(async () => {
    const settings = { highWaterBytes: HIGH_WATER, linkLingerMs: LINGER_MS, ...(sizes && { sizes }) };
    [engine, other] = await Promise.all([
      startEngine({ ...settings, engine: name }),
      startEngine({ ...settings, engine: to, traffic }),
    ]);
  });
  afterAll(async () => {
    expect(other.faults).toEqual([]);
    await other.stop();
  });

  interface Served {
    readonly device: Socket;
    readonly connection: RemoteConnection;
    readonly upstream: Socket;
    readonly port: number;
  }

  /** A device and its link, by a script that carries bytes; or one that does nothing. */
  async function serve(script: Script): Promise<Served> {
    await engine.script(script, node.target);
    const { device, connection } = await engine.connect();
    if (script === 'manual') connection.call('dial', node.target);
    const upstream = await node.link();
    sockets.push(device, upstream);
    await connection.told('linkOpened');
    return { device, connection, upstream, port: device.localPort as number };
  }

  /** Those that wait for the engine see what it does at the latest then. */
  const turn = async (of: EngineUnderTest): Promise<void> => {
    await of.defer();
    await of.defer();
  };

  describe('a frozen connection', () => {
    it('is told of nothing until it is thawed, and then of everything', async () => {
      const { device, connection, upstream, port } = await serve('manual');
      const before = connection.names().length;
      await frozen(engine, port);
      device.end('from the device');
      upstream.end('from the node');
      const bystander = await serve('manual');
      bystander.device.write('hello');
      await bystander.connection.text('deviceData', 5);
      expect(connection.names().length).toBe(before);
      await engine.thaw(port);
      expect(await connection.text('deviceData', 15)).toBe('from the device');
      expect(await connection.text('linkData', 13)).toBe('from the node');
      expect(await connection.told('deviceEnded')).toEqual(['fin']);
      expect(await connection.told('linkEnded')).toEqual([0, 'fin']);
    });

    it('learns that it was reset when it is thawed', async () => {
      const { device, connection, port } = await serve('manual');
      await frozen(engine, port);
      device.resetAndDestroy();
      await turn(engine);
      expect(connection.names()).not.toContain('deviceEnded');
      await engine.thaw(port);
      expect(await connection.told('deviceEnded')).toEqual(['reset']);
    });

    it('is told of its timer when it is thawed, once', async () => {
      const { device, connection, port } = await serve('manual');
      connection.call('setTimer', 1);
      await frozen(engine, port);
      device.write('I live');
      const bystander = await serve('manual');
      bystander.connection.call('setTimer', 200);
      await bystander.connection.told('timer');
      expect(connection.names()).not.toContain('timer');
      await engine.thaw(port);
      await connection.told('timer');
      const names = connection.names();
      expect(names.indexOf('deviceData')).toBeGreaterThan(-1); // who has spoken is not silent
      expect(names.indexOf('deviceData')).toBeLessThan(names.indexOf('timer'));
    });

    it('keeps what is written to it, in order', async () => {
      const { device, connection, port } = await serve('manual');
      connection.write('device', 'one ');
      await frozen(engine, port);
      connection.write('device', 'two ');
      await turn(engine);
      await engine.thaw(port);
      connection.write('device', 'three');
      expect(await firstBytes(device, 13)).toBe('one two three');
    });

    it('that is reset leaves its sockets to whoever has duplicates', async () => {
      const { device, connection, port } = await serve('manual');
      const copies = duplicated(await frozen(engine, port));
      connection.call('endNode', 0, 'reset');
      connection.call('endDevice', 'reset');
      await connection.told('closed');
      const adopted = await other.adopt(port, 'manual', copies);
      await other.thaw(port);
      device.write('still here');
      expect(await adopted.text('deviceData', 10)).toBe('still here');
    });
  });

  describe('a connection is not frozen', () => {
    it('while it dials', async () => {
      await blackHole('127.0.0.2', node.target.port);
      const { device, connection } = await engine.connect();
      sockets.push(device);
      connection.call('dial', { ...node.target, host: '127.0.0.2' });
      expect(await engine.freeze(device.localPort as number)).toBeUndefined();
      connection.call('endNode', 0, 'reset');
      expect(await engine.freeze(device.localPort as number)).toBeDefined();
    });

    it('while its device ends', async () => {
      const { connection, port } = await serve('manual');
      connection.call('endDevice', 'flush');
      expect(await engine.freeze(port)).toBeUndefined();
    });

    it('while a task of it waits for a turn, or for its link', async () => {
      await engine.script('fill');
      const { device, connection } = await engine.connect();
      sockets.push(device);
      connection.call('dial', node.target);
      const upstream = (await node.link()).pause();
      sockets.push(upstream);
      device.write('fill');
      await connection.told('turned');
      expect(await engine.freeze(device.localPort as number)).toBeUndefined();
      upstream.resume();
      await connection.told('drained');
      expect(await engine.freeze(device.localPort as number)).toBeDefined();
    });
  });

  describe.each(['relay', 'forward'] as const)('a connection handed over by the script %s', (script) => {
    it('loses no byte and has none twice, both ways, in the middle of a stream', async () => {
      const served = await serve(script);
      const { sent, came } = await streamed(
        served,
        { bytes: 3_000_000, chunk: 50_000, every: 10 },
        [engine, other],
        (from, to) => handOver(from, to, served.port, script),
      );
      expect(came).toEqual(sent);
    });

    it('sends what waits, first to last, and reads on behind it', async () => {
      const { device, upstream, port } = await serve(script);
      const { bytes, digest: expected } = payload(24_000_000);
      device.pause();
      upstream.write(bytes);
      const handed = await until(async () => {
        const value = await frozen(engine, port);
        if (value.device.waiting.length > 0) return value;
        await engine.thaw(port);
        return undefined;
      }, 'bytes that wait for the device');
      const adopted = await other.adopt(port, script, duplicated(handed));
      await engine.depart(port);
      await other.thaw(port);
      expect(digest(await gathered(device, bytes.length))).toBe(expected);
      device.end();
      await received(upstream);
      upstream.end();
      expect(await adopted.told('closed')).toEqual([0, bytes.length]);
    });
  });

  describe('a connection that is handed over', () => {
    it('keeps its half-closes, and ends as ever', async () => {
      const { device, upstream, port } = await serve('relay');
      device.end('last words');
      expect((await received(upstream)).toString()).toBe('last words');
      const { handed, adopted } = await handOver(engine, other, port, 'relay');
      expect(handed.device).toMatchObject({ hasEnded: true, fin: 'none' });
      expect(handed.links).toMatchObject([{ hasEnded: false, fin: 'sent', isSpliced: true }]);
      upstream.end('answer');
      expect((await received(device)).toString()).toBe('answer');
      expect(await adopted.told('closed')).toEqual([10, 6]);
    });

    it.each(['finishNode', 'endNode'] as const)('sends the FIN of %s behind what waits', async (end) => {
      const { connection, upstream, port } = await serve('manual');
      const { bytes, digest: expected } = payload(12_000_000);
      upstream.pause();
      connection.call('toNode', 0, new Uint8Array(bytes), 0, bytes.length);
      if (end === 'finishNode') connection.call(end, 0);
      else connection.call(end, 0, 'flush');
      const { handed } = await handOver(engine, other, port, 'manual');
      expect(handed.links).toMatchObject([{ fin: 'wanted' }]);
      expect(handed.links[0]?.waiting.length).toBeGreaterThan(0);
      expect(digest(await received(upstream))).toBe(expected);
    });

    it('keeps who is held, the numbers of its links, its own, its bytes and its timer', async () => {
      const { device, connection, upstream, port } = await serve('manual');
      device.write('12345');
      await connection.text('deviceData', 5);
      connection.call('numbered', 77);
      connection.call('holdNode', 0, true);
      connection.call('setTimer', 600_000);
      await turn(engine);
      upstream.write('held');
      connection.call('dial', node.target);
      const second = await node.link();
      sockets.push(second);
      const opened = () => connection.names().filter((each) => each === 'linkOpened').length;
      await until(() => opened() === 2, 'the second link');
      const { handed, adopted } = await handOver(engine, other, port, 'manual');
      expect(handed).toMatchObject({
        ...{ number: 77, lastLink: 1, fromDevice: 5, toDevice: 0, isCounted: false },
        links: [
          { link: 0, isHeld: true },
          { link: 1, isHeld: false },
        ],
      });
      expect(handed.timerMs).toBeGreaterThan(500_000);
      second.write('second');
      expect(await adopted.text('linkData', 6)).toBe('second');
      adopted.call('holdNode', 0, false);
      expect(await adopted.text('linkData', 10)).toBe('secondheld');
      adopted.write(0, 'to the first');
      expect(await firstBytes(upstream, 12)).toBe('to the first');
      adopted.call('dial', node.target);
      const third = await node.link();
      third.write('third');
      const isHeard = () => adopted.events.some(({ args }) => args[0] === 2 && args[1] === 'third');
      await until(isHeard, 'the third link');
      for (const each of [0, 1, 2]) adopted.call('endNode', each, 'reset');
      adopted.call('endDevice', 'reset');
      expect(await adopted.told('closed')).toEqual([5, 0]);
    });

    it('reads on where it was held, though much has come, first to last', async () => {
      const { device, connection, port } = await serve('manual');
      const text = '0123456789'.repeat(20_000);
      connection.call('holdDevice', true);
      await turn(engine);
      device.write(text.slice(0, 100_000));
      await turn(engine);
      const { adopted } = await handOver(engine, other, port, 'manual');
      device.write(text.slice(100_000));
      await turn(other);
      const back = await handOver(other, engine, port, 'manual');
      expect(adopted.names()).toEqual(['adopted']);
      back.adopted.call('holdDevice', false);
      expect((await back.adopted.text('deviceData', text.length)) === text).toBe(true);
    });

    it('has a timer that is due wherever it is', async () => {
      const { connection, port } = await serve('manual');
      connection.call('setTimer', 1000);
      const { adopted } = await handOver(engine, other, port, 'manual');
      await adopted.told('timer');
      expect(connection.names()).not.toContain('timer');
    });

    it('has a link that it has left end in its own time', async () => {
      const { connection, upstream, port } = await serve('manual');
      upstream.on('end', () => undefined).resume();
      connection.write(0, 'bye');
      connection.call('endNode', 0, 'flush');
      await new Promise((ended) => upstream.once('end', ended));
      const { handed, adopted } = await handOver(engine, other, port, 'manual');
      expect(handed.links).toMatchObject([{ link: 0, fin: 'sent' }]);
      expect(handed.links[0]?.lingerMs).toBeGreaterThan(0);
      upstream.write('unheard');
      adopted.call('endDevice', 'reset');
      await adopted.told('closed'); // the node does not close, so its time is over
      expect(adopted.names()).toEqual(['adopted', 'closed']);
    });

    it('is told of what happened at its sockets between the two', async () => {
      const { device, upstream, port } = await serve('manual');
      const handed = await frozen(engine, port);
      device.write('early');
      upstream.resetAndDestroy();
      const adopted = await other.adopt(port, 'manual', duplicated(handed));
      await engine.depart(port);
      await turn(other);
      expect(adopted.names()).toEqual(['adopted']);
      await other.thaw(port);
      expect(await adopted.text('deviceData', 5)).toBe('early');
      expect(await adopted.told('linkEnded')).toEqual([0, 'reset']);
    });

    it('can go on where it was, when nobody takes it', async () => {
      const { device, connection, port } = await serve('manual');
      const copies = duplicated(await frozen(engine, port));
      await expect(other.adopt(port, 'throw-on-accept', copies)).rejects.toThrow('scripted fault at begin');
      await other.adopt(port, 'manual', copies); // its descriptors are still the caller's
      await expect(other.adopt(port, 'manual', copies)).rejects.toMatchObject({ code: 'UPGRADE_REFUSED' });
      await other.depart(port);
      await engine.thaw(port);
      device.write('hello');
      expect(await connection.text('deviceData', 5)).toBe('hello');
    });

    it('is refused where a descriptor is beyond the limit of open files', async () => {
      const { port } = await serve('manual');
      const handed = await frozen(engine, port);
      const beyond = { ...handed, device: { ...handed.device, fd: 1 << 20 } };
      await expect(other.adopt(port, 'manual', beyond)).rejects.toMatchObject({ code: 'UPGRADE_REFUSED' });
      await engine.thaw(port);
    });

    it('has its bytes counted once', async () => {
      const { device, connection, port } = await serve('manual');
      device.write('12345');
      await connection.text('deviceData', 5);
      const uncounted = await handOver(engine, other, port, 'manual');
      uncounted.adopted.call('countAt', 2);
      await turn(other);
      expect(traffic[2]).toBe(5);
      const back = await handOver(other, engine, port, 'manual');
      expect(back.handed.isCounted).toBe(true);
      const { adopted } = await handOver(engine, other, port, 'manual');
      device.write('678');
      await adopted.text('deviceData', 3);
      expect(traffic[2]).toBe(5);
    });
  });

  describe('listening sockets', () => {
    it('go over with those who wait there, and the connections of before stay', async () => {
      const { port } = await engine.hold(0, 9);
      const waiting = dial(port, '127.0.0.1');
      sockets.push(waiting);
      await new Promise((connected) => waiting.once('connect', connected));
      const copies = (await engine.listening(9)).map(duplicate);
      expect(copies.length).toBe(1);
      expect(await other.inherit(9, copies)).toEqual({ host: '127.0.0.1', port });
      expect(watchers(copies[0] as number)).toBe(ofEpoll(name, to));
      await engine.leave(9);
      expect(await engine.listening(9)).toEqual([]);
      expect(watchers(copies[0] as number)).toBe(ofEpoll(to));
      const accepted = other.connection(waiting.localPort as number);
      expect(await accepted.told('accepted')).toEqual([9, '127.0.0.1']);
      const later = dial(port, '127.0.0.1');
      sockets.push(later);
      await new Promise((connected) => later.once('connect', connected));
      await other.connection(later.localPort as number).told('accepted');
      await other.unlisten(9);
      expect(await endOf(dial(port, '127.0.0.1'))).toBe('ECONNREFUSED');
    });

    it('that cannot be taken stay with whoever has them', async () => {
      await expect(other.inherit(10, [1 << 20])).rejects.toMatchObject({ code: 'UPGRADE_REFUSED' });
    });
  });

  it('closes the descriptors that it is given', async () => {
    const { device, port } = await serve('manual');
    const handed = duplicated(await frozen(engine, port));
    const open = descriptorsOf(handed).map((fd) => ({ fd, socket: readlinkSync(`/proc/self/fd/${fd}`) }));
    const adopted = await other.adopt(port, 'manual', handed);
    await engine.depart(port);
    for (const { fd } of open) expect(watchers(fd)).toBe(0);
    await other.thaw(port);
    for (const { fd } of open) expect(watchers(fd)).toBe(ofEpoll(to));
    const end = endOf(device);
    adopted.call('endNode', 0, 'reset');
    adopted.call('endDevice', 'reset');
    await adopted.told('closed');
    expect(await end).toBe('ECONNRESET');
    for (const { fd, socket } of open) expect(socketAt(fd)).not.toBe(socket);
  });
}

/** A ring shows nobody what it watches, but what it does keeps the socket open. */
const ofEpoll = (...engines: LinuxEngineName[]): number => engines.filter((name) => name === 'epoll').length;

/** How many epoll instances of this process watch the socket, by whichever duplicate: they would tell of it for ever (proc(5)). */
function watchers(fd: number): number {
  const inode = `ino:${fstatSync(fd).ino.toString(16)} `;
  let count = 0;
  for (const each of readdirSync('/proc/self/fdinfo'))
    for (const line of linesOf(`/proc/self/fdinfo/${each}`))
      if (line.startsWith('tfd:') && line.includes(inode)) count++;
  return count;
}

function linesOf(path: string): string[] {
  try {
    return readFileSync(path, 'utf8').split('\n');
  } catch {
    return []; // it was closed meanwhile
  }
}

/** Another may have the number by now. */
function socketAt(fd: number): string | undefined {
  try {
    return readlinkSync(`/proc/self/fd/${fd}`);
  } catch {
    return undefined;
  }
}
