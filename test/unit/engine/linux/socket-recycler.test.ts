import { expect, test } from 'vitest';
import type { Libc } from '../../../../src/engine/linux/libc.ts';
import { SocketRecycler } from '../../../../src/engine/linux/socket-recycler.ts';
import { createSocketTable } from '../../../../src/engine/linux/socket-table.ts';

function scene({ connect = 0, isLetGo = (): boolean => true, keepsWatching = true } = {}) {
  const table = createSocketTable(1000);
  const told: string[] = [];
  const libc = {
    pin: (size: number) => ({ bytes: Buffer.alloc(size), address: 4096 }),
    connect: (fd: number) => {
      told.push(`disconnect ${fd}`);
      return connect;
    },
    close: (fd: number) => told.push(`close ${fd}`),
  } as unknown as Libc;
  const recycler = new SocketRecycler(libc, table, (ms) => told.push(`clear in ${ms}`), {
    keepsWatching,
    isLetGo,
  });
  /** As the streams do: the generation grows with every end. */
  const end = (fd: number): boolean => {
    table.generation[fd] = (table.generation[fd] as number) + 1;
    return recycler.keep(fd);
  };
  return { table, told, recycler, end };
}

test('a socket that has ended serves the next link when its turn is over, under the generation that the poller knows', () => {
  const { table, recycler, end } = scene();
  table.generation[7] = 3;
  expect([end(7), table.generation[7], recycler.take()]).toEqual([true, 4, -1]);
  recycler.endBatch();
  expect([table.generation[7], recycler.take(), recycler.take()]).toEqual([3, 7, -1]);
});

test('a socket of whose former life something is under way waits for its end', () => {
  let isLetGo = false;
  const { recycler, end } = scene({ isLetGo: () => isLetGo });
  end(7);
  recycler.endBatch();
  expect(recycler.take()).toBe(-1);
  isLetGo = true;
  recycler.beginBatch();
  recycler.endBatch();
  expect([recycler.take(), recycler.take()]).toEqual([7, -1]);
});

test('a socket that nobody watches any more serves the next link while a batch is served, under another generation', () => {
  const { table, recycler, end } = scene({ keepsWatching: false });
  recycler.beginBatch();
  end(7);
  expect(recycler.take()).toBe(-1);
  recycler.endBatch();
  recycler.beginBatch();
  expect([table.generation[7], recycler.take()]).toEqual([1, 7]);
});

test('one that still waits when its time is over is closed', () => {
  const { told, recycler, end } = scene({ isLetGo: () => false });
  end(7);
  recycler.endBatch();
  recycler.clear();
  expect([told.at(-1), recycler.take()]).toEqual(['close 7', -1]);
});

test('what is not taken is closed after a while, and what is told of it later finds nobody', () => {
  const { table, told, recycler, end } = scene();
  end(7);
  end(8);
  recycler.endBatch();
  expect(recycler.take()).toBe(8);
  recycler.clear();
  expect(told).toEqual(['disconnect 7', 'clear in 1000', 'disconnect 8', 'close 7']);
  expect([...table.generation.subarray(7, 9)]).toEqual([1, 0]);
  expect(end(9)).toBe(true);
  expect(told.at(-1)).toBe('clear in 1000');
});

test('a socket that cannot be disconnected is not kept', () => {
  const { recycler, end } = scene({ connect: -22 });
  expect(end(7)).toBe(false);
  recycler.endBatch();
  expect(recycler.take()).toBe(-1);
});

test('so many are kept and no more', () => {
  const { end } = scene();
  const kept = Array.from({ length: 200 }, (_, fd) => end(fd)).filter(Boolean);
  expect(kept).toHaveLength(128);
});
