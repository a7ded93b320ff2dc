import { readFileSync } from 'node:fs';
import type { Socket } from 'node:net';
import { expect, it } from 'vitest';
import type { EngineName } from '../../src/engine/engine.ts';
import { startEngine } from '../support/engine-under-test.ts';
import { endOf, fakeNode } from '../support/fake-node.ts';
import { linuxEngines } from '../support/linux-engines.ts';
import { atEnd } from '../support/process.ts';
import { until } from '../support/wait.ts';

/**
 * The inode of the socket at the far end of `upstream`: what tells a socket from another (proc(5), /proc/net/tcp). Both
 * ports have to match: the connections of other tests, and those that wait for their end, may have one of them too.
 */
function inodeOfPeer({ remotePort, localPort }: Socket): string | undefined {
  const portOf = (address: string | undefined): number => Number.parseInt(address?.split(':')[1] ?? '', 16);
  const rows = readFileSync('/proc/self/net/tcp', 'latin1').split('\n').slice(1);
  return rows
    .map((row) => row.trim().split(/\s+/))
    .find(([, local, remote]) => portOf(local) === remotePort && portOf(remote) === localPort)?.[9];
}

async function started(engineName: EngineName, gate?: Int32Array) {
  const settings = { engine: engineName, highWaterBytes: 65_536 };
  const engine = await startEngine(gate === undefined ? settings : { ...settings, gate });
  const node = await fakeNode();
  atEnd(async () => {
    node.stop();
    await engine.stop();
  });
  return { engine, node };
}

it.each(
  linuxEngines,
)('%s: a link that was reset leaves its socket to the next link, whose node sees a new connection', async (name) => {
  const { engine, node } = await started(name);
  const dialled = async () => {
    const { connection } = await engine.connect();
    connection.call('dial', node.target);
    const upstream = await node.link();
    await connection.told('linkOpened');
    return { connection, upstream, inode: inodeOfPeer(upstream) };
  };
  const first = await dialled();
  first.connection.call('endNode', 0, 'reset');
  expect(await endOf(first.upstream)).toBe('ECONNRESET');
  await engine.defer();
  const second = await dialled();
  expect(second.inode).toBe(first.inode);
  expect(second.inode).toMatch(/^[1-9]\d*$/);
  expect(second.upstream.remotePort).not.toBe(first.upstream.remotePort);
});

it.each(
  linuxEngines,
)('%s: what a link left behind is not taken for the fate of the next one on its socket', async (name) => {
  const gate = new Int32Array(new SharedArrayBuffer(4));
  const { engine, node } = await started(name, gate);
  await engine.script('go-on-alone', node.target);
  const dialled = async () => {
    const life = await engine.connect();
    life.connection.call('dial', node.target);
    await life.connection.told('linkOpened');
    return life;
  };
  const first = await dialled();
  const second = await dialled();
  // The second device's end is reported before what the first one's link leaves behind, in one batch of events.
  first.device.resetAndDestroy();
  await first.connection.told('deviceEnded');
  await endOf(second.device.resetAndDestroy());
  gate[0] = 1;
  Atomics.notify(gate, 0);
  const openings = ({ connection }: typeof first) =>
    connection.names().filter((name) => name === 'linkOpened').length;
  await until(() => openings(first) === 2 && openings(second) === 2, 'the next link of both');
  expect(first.connection.names()).not.toContain('linkFailed');
  expect(second.connection.names()).not.toContain('linkFailed');
});
