import { Worker } from 'node:worker_threads';
import { afterEach, describe, expect, it, onTestFinished } from 'vitest';
import { createEpollDriver } from '../../src/engine/epoll/driver.ts';
import { loadEpoll } from '../../src/engine/epoll/load.ts';
import type { CreateDriver } from '../../src/engine/linux/driver.ts';
import { EPOLLIN, type Libc, loadLibc } from '../../src/engine/linux/libc.ts';
import type { Poller } from '../../src/engine/linux/poller.ts';
import { createSocketTable } from '../../src/engine/linux/socket-table.ts';
import { createUringDriver } from '../../src/engine/uring/driver.ts';
import { loadUring } from '../../src/engine/uring/load.ts';

/** Longer than any of these tests. */
const LONG_MS = 60_000;

function gathering(name: string, isAvailable: boolean, create: CreateDriver): void {
  describe.runIf(isAvailable)(`${name} gathers`, () => {
    let opened: number[] = [];

    function begin(): { libc: Libc; poller: Poller; watched(count: number): number } {
      const libc = loadLibc();
      const { poller } = create(libc, createSocketTable(1024));
      onTestFinished(() => poller.close());
      const watched = (count: number): number => {
        const fd = libc.eventfd(count, 0);
        opened.push(fd);
        poller.add(fd, 0, EPOLLIN);
        return fd;
      };
      return { libc, poller, watched };
    }

    afterEach(() => {
      const libc = loadLibc();
      for (const fd of opened) libc.close(fd);
      opened = [];
    });

    it('all that is there already', () => {
      const { poller, watched } = begin();
      const fds = [watched(1), watched(1), watched(1)];
      expect(poller.gather(LONG_MS)).toBe(3);
      const { words, stride, fdAt } = poller;
      expect(fds.map((_, i) => words[i * stride + fdAt]).sort()).toEqual(fds.sort());
    });

    it('nothing, where nothing comes in time', () => {
      const { poller, watched } = begin();
      watched(0);
      expect(poller.gather(1)).toBe(0);
    });

    it('one that comes alone, later than several would', () => {
      const { poller, watched } = begin();
      const fd = watched(0);
      const later = `setTimeout(() => require('node:fs').writeSync(${fd}, new Uint8Array([1, 0, 0, 0, 0, 0, 0, 0])), 20)`;
      new Worker(later, { eval: true });
      let count = 0;
      while (count === 0) count = poller.gather(1000);
      expect(count).toBe(1);
      expect(poller.words[poller.fdAt]).toBe(fd);
    });
  });
}

gathering('epoll', loadEpoll().available, createEpollDriver);
gathering('uring', loadUring().available, createUringDriver);
