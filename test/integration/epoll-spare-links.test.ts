import { readFileSync } from 'node:fs';
import { expect, it } from 'vitest';
import { startEngine } from '../support/engine-under-test.ts';
import { endOf, fakeNode } from '../support/fake-node.ts';
import { atEnd } from '../support/process.ts';

/** The inode of the socket that has this port: what tells a socket from another (proc(5), /proc/net/tcp). */
function inodeOf(port: number | undefined): string | undefined {
  const local = `:${port?.toString(16).toUpperCase().padStart(4, '0')}`;
  const rows = readFileSync('/proc/self/net/tcp', 'latin1').split('\n').slice(1);
  return rows.map((row) => row.trim().split(/\s+/)).find(([, address]) => address?.endsWith(local))?.[9];
}

it.runIf(process.platform === 'linux')(
  'a link that was reset leaves its socket to the next link, whose node sees a new connection',
  async () => {
    const engine = await startEngine({ engine: 'epoll', highWaterBytes: 65_536 });
    const node = await fakeNode();
    atEnd(async () => {
      node.stop();
      await engine.stop();
    });
    const dialled = async () => {
      const { connection } = await engine.connect();
      connection.call('dial', node.target);
      const upstream = await node.link();
      await connection.told('linkOpened');
      return { connection, upstream, inode: inodeOf(upstream.remotePort) };
    };
    const first = await dialled();
    first.connection.call('endNode', 0, 'reset');
    expect(await endOf(first.upstream)).toBe('ECONNRESET');
    await engine.defer();
    const second = await dialled();
    expect(second.inode).toBe(first.inode);
    expect(second.inode).toMatch(/^[1-9]\d*$/);
    expect(second.upstream.remotePort).not.toBe(first.upstream.remotePort);
  },
);
