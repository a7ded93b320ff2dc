import { describe, expect, it, vi } from 'vitest';
import {
  EAGAIN,
  ECONNRESET,
  EINVAL,
  EPOLLERR,
  EPOLLIN,
  EPOLLOUT,
  type Libc,
  loadLibc,
  SOCK_NONBLOCK,
} from '../../src/engine/linux/libc.ts';
import { BufferPool } from '../../src/engine/uring/buffer-pool.ts';
import { loadUring } from '../../src/engine/uring/load.ts';
import { Ring } from '../../src/engine/uring/ring.ts';
import { atEnd } from '../support/process.ts';
import { RingScene } from '../support/ring-scene.ts';

const small = { submissions: 4, completions: 8, buffers: 4 };

describe.runIf(loadUring().available)('the ring of the uring engine', () => {
  describe('completions after a close', () => {
    it('of bytes that came before it are told to nobody, nor to the next socket of that number', () => {
      const ring = new RingScene();
      const former = ring.device();
      const far = ring.dial();
      ring.say(former.far, 'of the former');
      ring.close(former.fd);
      const next = ring.device(far);
      expect(next.fd).toBe(former.fd);
      ring.say(next.far, 'of the next');
      ring.awaitEvents(next.fd);
      expect(ring.read(next.fd)).toBe('of the next');
    });

    it('give their buffers back', () => {
      const ring = new RingScene(small);
      for (let life = 0; life < 5 * small.buffers; life++) {
        const { fd, far } = ring.device();
        ring.turn();
        ring.say(far, 'never read');
        if (life % 2 === 0) ring.turn();
        ring.close(fd);
        ring.libc.close(far);
      }
      const { fd, far } = ring.device();
      ring.say(far, 'read');
      ring.awaitEvents(fd);
      expect(ring.read(fd)).toBe('read');
    });

    it.each(['close', 'reset'] as const)('do not keep the socket open: the other end sees the %s', (how) => {
      const ring = new RingScene();
      const { fd, far } = ring.device();
      ring.turn();
      ring.close(fd, how);
      ring.until(() => ring.hear(far) === undefined || undefined);
      expect(ring.hear(far)).toBeUndefined();
    });

    it.each([
      'close',
      'reset',
    ] as const)('do not keep it open either where the kernel does not find what is to be cancelled at first: %s', (how) => {
      const ring = new RingScene(undefined, findingNothingOnce());
      const { fd, far } = ring.device();
      ring.turn();
      ring.close(fd, how);
      expect(ring.poller.isLetGo(fd)).toBe(false);
      ring.until(() => ring.hear(far) === undefined || undefined);
      expect(ring.poller.isLetGo(fd)).toBe(true);
    });
  });

  describe('a reset', () => {
    it('is told although it came together with bytes', () => {
      const ring = new RingScene();
      for (let life = 0; life < 3; life++) {
        const far = ring.dial();
        ring.say(far, 'last words');
        ring.reset(far);
        const fd = ring.connected();
        let events = 0;
        ring.until(() => {
          events |= ring.told(fd) ?? 0;
          return (events & EPOLLERR) !== 0 || undefined;
        });
        expect(ring.read(fd)).toBe('last words');
        ring.close(fd);
      }
    });
  });

  describe('buffers', () => {
    it('that run out are given to those that found none, in the end to all', () => {
      const ring = new RingScene(small);
      const pairs = Array.from({ length: 5 * small.buffers }, () => ring.device());
      for (const { far } of pairs) ring.say(far, `from ${far}`);
      const heard = new Map<number, string>();
      ring.until(() => {
        for (const { fd } of pairs)
          if (ring.told(fd) !== undefined) heard.set(fd, (heard.get(fd) ?? '') + ring.read(fd));
        return heard.size === pairs.length || undefined;
      });
      expect(heard).toEqual(new Map(pairs.map(({ fd, far }) => [fd, `from ${far}`])));
    });

    it('are given to the kernel a few at first, and twice as many whenever it has less than half of them, up to all', () => {
      const libc = loadLibc();
      const ring = new Ring(libc, { submissions: 4, completions: 8 });
      atEnd(() => ring.close());
      const pool = new BufferPool(libc, ring, { count: 1024, bytes: 64 });
      const given = [pool.free];
      for (let taken = 0; taken < 1024; taken++) {
        pool.taken();
        if (pool.isLow && pool.grow()) given.push(pool.free + taken + 1);
      }
      expect(given).toEqual([256, 512, 1024]);
      expect(pool.free).toBe(0);
    });

    it('of sockets that nobody reads are not missed by the others, and what they held is not lost', () => {
      const ring = new RingScene(small);
      const held = Array.from({ length: 3 * small.buffers }, () => ring.device());
      for (const { far } of held) ring.say(far, `kept ${far}`);
      for (const { fd } of held) ring.awaitEvents(fd);
      const busy = ring.device();
      for (let i = 0; i < 10; i++) {
        ring.say(busy.far, 'ping');
        ring.awaitEvents(busy.fd);
        expect(ring.read(busy.fd)).toBe('ping');
      }
      for (const { fd, far } of held) expect(ring.read(fd)).toBe(`kept ${far}`);
    });

    it('are not all of a socket that has more than there are: another that speaks is heard soon', () => {
      const ring = new RingScene(small);
      const busy = ring.device();
      const calm = ring.device();
      const much = Buffer.alloc(100_000, 'x');
      ring.say(busy.far, much);
      ring.turn();
      for (let round = 0; round < 10; round++) {
        ring.say(calm.far, 'ping');
        let turns = 0;
        while (ring.told(calm.fd) === undefined) {
          ring.say(busy.far, much);
          ring.read(busy.fd);
          ring.turn();
          if (++turns > 20) throw new Error('it is not heard');
        }
        expect(ring.read(calm.fd)).toBe('ping');
      }
    });

    it('of one socket that nobody reads have a bound; it receives again when it is read, in order', () => {
      const ring = new RingScene();
      const { fd, far } = ring.device();
      const said = ring.sayUntilFull(far);
      expect(ring.readAll(fd, said.length) === said).toBe(true);
    });
  });

  describe('a socket of which much comes at once', () => {
    it('is read in large pieces', () => {
      const { ring, fd, far } = busy();
      let reads = 0;
      let heard = 0;
      for (let i = 0; i < 20; i++) {
        const said = ring.say(far, Buffer.alloc(65_536, 'x'));
        let rest = said;
        while (rest > 0) {
          ring.turn();
          for (let got = ring.reader.receive(fd, flagsOf(ring, fd)); got > 0; ) {
            reads++;
            rest -= got;
            got = ring.reader.receive(fd, flagsOf(ring, fd));
          }
        }
        heard += said;
      }
      expect(heard / reads).toBeGreaterThan(32_768);
    });

    it('receives by itself again when little comes, and nothing is lost or told twice on the way', () => {
      const { ring, fd, far } = busy();
      for (let i = 0; i < 50; i++) {
        ring.say(far, `little ${i}`);
        ring.awaitEvents(fd);
        expect(ring.read(fd)).toBe(`little ${i}`);
      }
      const recv = vi.spyOn(ring.libc, 'recv');
      ring.say(far, 'last');
      expect(ring.awaitEvents(fd)).toBe(EPOLLIN);
      expect(ring.read(fd)).toBe('last');
      expect(recv).not.toHaveBeenCalled();
    });

    it('tells of its end behind the last bytes', () => {
      const { ring, fd, far } = busy();
      ring.say(far, 'last');
      ring.finish(far);
      expect(ring.readAll(fd, 4)).toBe('last');
      expect(ring.until(() => notAgain(ring.reader.receive(fd, flagsOf(ring, fd))))).toBe(0);
    });

    it('tells of a reset', () => {
      const { ring, fd, far } = busy();
      ring.reset(far);
      ring.until(() => ((ring.told(fd) ?? 0) & EPOLLERR) !== 0 || undefined);
      expect(ring.until(() => notAgain(ring.reader.receive(fd, flagsOf(ring, fd))))).toBe(-ECONNRESET);
    });

    it('goes on as it did when it was frozen and is thawed', () => {
      const { ring, fd, far } = busy();
      ring.say(far, 'before, ');
      freeze(ring, fd);
      expect(ring.freezer.thaw(fd)).toBe(0);
      ring.say(far, 'behind');
      expect(ring.readAll(fd, 14)).toBe('before, behind');
    });

    it('leaves nothing at the next socket of its number', () => {
      const { ring, fd, far } = busy();
      const next = ring.dial();
      ring.say(far, 'of the former');
      ring.close(fd);
      const { far: nextFar } = ring.device(next);
      ring.say(nextFar, 'of the next');
      expect(ring.awaitEvents(fd)).toBe(EPOLLIN);
      expect(ring.read(fd)).toBe('of the next');
    });
  });

  describe('completions that find no room', () => {
    it('are not lost', () => {
      const ring = new RingScene(small);
      const pairs = Array.from({ length: 8 * small.completions }, () => ring.device());
      ring.turn();
      for (const { far } of pairs) ring.libc.close(far); // each gives two: its end, and what waits for a failure
      const ended = new Set<number>();
      ring.until(() => {
        for (const { fd } of pairs) if (ring.told(fd) !== undefined) ended.add(fd);
        return ended.size === pairs.length || undefined;
      });
      for (const { fd } of pairs) expect(ring.reader.receive(fd, ring.table.flags[fd] as number)).toBe(0);
    });

    it('do not hide a send that was not taken whole', () => {
      const ring = new RingScene(small);
      const pairs = Array.from({ length: 8 * small.completions }, () => ring.device());
      ring.turn();
      const [slow] = pairs as [(typeof pairs)[number]];
      for (const { far } of pairs.slice(1)) ring.say(far, 'x');
      let written = 0;
      while (ring.writer.waiting[slow.fd] === 0) {
        ring.writer.write(slow.fd, Buffer.alloc(10_000, 1), 0, 10_000);
        written += 10_000;
        ring.turn();
      }
      let heard = 0;
      ring.until(() => {
        heard += ring.hear(slow.far)?.length ?? 0;
        if (((ring.told(slow.fd) ?? 0) & EPOLLOUT) !== 0) {
          ring.writer.flush(slow.fd);
          if (ring.writer.waiting[slow.fd] !== 0) ring.watch.room(slow.fd);
        }
        return heard === written || undefined;
      });
      expect(heard).toBe(written);
    });
  });

  describe('sends', () => {
    it('of one turn keep their order, whether they were copied, forwarded or too large to wait', () => {
      const ring = new RingScene();
      const from = ring.device();
      const to = ring.device();
      const write = (text: string) => ring.writer.write(to.fd, Buffer.from(text, 'latin1'), 0, text.length);
      const forward = () =>
        ring.writer.forward(to.fd, ring.reader.receive(from.fd, ring.table.flags[from.fd] as number));
      ring.say(from.far, 'one ');
      ring.awaitEvents(from.fd);
      write('zero ');
      forward();
      write('two ');
      write('three ');
      write('4'.repeat(20_000));
      write(' five ');
      ring.say(from.far, 'six');
      ring.awaitEvents(from.fd);
      forward();
      let heard = '';
      const expected = `zero one two three ${'4'.repeat(20_000)} five six`;
      ring.until(() => {
        ring.turn();
        heard += ring.hear(to.far)?.toString('latin1') ?? '';
        return heard.length >= expected.length || undefined;
      });
      expect(heard).toBe(expected);
    });

    it('of which the kernel takes one at a time are all known to have fallen short', () => {
      const libc = loadLibc();
      const uringEnter: Libc['uringEnter'] = (fd, submit, ...rest) =>
        libc.uringEnter(fd, Math.min(1, submit), ...rest);
      const ring = new RingScene(undefined, { ...libc, uringEnter });
      const pairs = Array.from({ length: 5 }, () => ring.device());
      const written = new Map(pairs.map(({ fd }) => [fd, 0]));
      const bytes = Buffer.alloc(10_000, 1);
      while (pairs.some(({ fd }) => ring.writer.waiting[fd] === 0)) {
        for (const { fd } of pairs) {
          ring.writer.write(fd, bytes, 0, bytes.length);
          written.set(fd, (written.get(fd) as number) + bytes.length);
        }
        ring.turn();
      }
      const heard = new Map(pairs.map(({ fd }) => [fd, 0]));
      ring.until(() => {
        for (const { fd, far } of pairs) {
          heard.set(fd, (heard.get(fd) as number) + (ring.hear(far)?.length ?? 0));
          if (((ring.told(fd) ?? 0) & EPOLLOUT) !== 0) ring.writer.flush(fd);
        }
        return pairs.every(({ fd }) => heard.get(fd) === written.get(fd)) || undefined;
      });
      expect(heard).toEqual(written);
    });

    it('to a socket that was closed in the same turn go nowhere, and their buffers are given back', () => {
      const ring = new RingScene(small);
      const from = ring.device();
      for (let i = 0; i < 5 * small.buffers; i++) {
        const to = ring.device();
        ring.say(from.far, `message ${i}`);
        ring.awaitEvents(from.fd);
        const got = ring.reader.receive(from.fd, ring.table.flags[from.fd] as number);
        ring.writer.forward(to.fd, got);
        ring.close(to.fd);
        ring.until(() => ring.hear(to.far) === undefined || undefined);
      }
      expect(ring.failures).toEqual([]);
    });

    it('that fail are told, with the errno', () => {
      const ring = new RingScene();
      const { fd, far } = ring.device();
      ring.turn();
      ring.libc.close(far);
      ring.until(() => {
        ring.writer.write(fd, Buffer.from('x'), 0, 1);
        ring.turn();
        return ring.failures.length > 0 || undefined;
      });
      expect(ring.failures[0]).toEqual([fd, expect.toBeOneOf([-32, -104])]);
    });
  });

  describe('a socket that is frozen', () => {
    it('gives what it has received, and leaves all that comes behind it to the kernel', () => {
      const ring = new RingScene();
      const { fd, far } = ring.device();
      ring.say(far, 'told, ');
      ring.awaitEvents(fd);
      ring.say(far, 'under way, ');
      freeze(ring, fd);
      ring.say(far, 'behind it');
      for (let turn = 0; turn < 5; turn++) ring.turn();
      expect(ring.told(fd)).toBeUndefined();
      const unread = Buffer.from(ring.reader.unreadOf(fd)).toString();
      expect(unread).toMatch(/^told, /);
      expect(unread + ring.hear(fd)?.toString()).toBe('told, under way, behind it');
    });

    it('goes on when it is thawed: what was received is read, then what comes', () => {
      const ring = new RingScene(small);
      const { fd, far } = ring.device();
      for (const text of ['one ', 'two ', 'three ']) {
        ring.say(far, text);
        ring.turn();
        freeze(ring, fd);
        expect(ring.freezer.thaw(fd)).toBe(0);
      }
      ring.say(far, 'four');
      expect(ring.readAll(fd, 18)).toBe('one two three four');
    });

    it('hides nothing from the others: what is told meanwhile is told by the next wait', () => {
      const ring = new RingScene();
      const { fd } = ring.device();
      const other = ring.device();
      ring.turn();
      ring.say(other.far, 'meanwhile');
      freeze(ring, fd);
      ring.turn();
      expect(ring.told(other.fd)).toBe(EPOLLIN);
      expect(ring.read(other.fd)).toBe('meanwhile');
    });

    it('has sent what a turn has gathered for it', () => {
      const ring = new RingScene();
      const { fd, far } = ring.device();
      ring.writer.write(fd, Buffer.from('gathered'), 0, 8);
      freeze(ring, fd);
      ring.writer.write(fd, Buffer.from('kept'), 0, 4);
      ring.turn();
      expect(ring.hear(far)?.toString()).toBe('gathered');
      expect(Buffer.from(ring.writer.waitingOf(fd)).toString()).toBe('kept');
    });

    it('is not kept open by anything that was under way', () => {
      const ring = new RingScene();
      const { fd, far } = ring.device();
      ring.finish(far); // its reset is waited for
      ring.turn();
      freeze(ring, fd);
      ring.libc.close(fd); // and nobody turns any more
      expect(ring.hear(far)).toBeUndefined();
    });

    it('is not kept open either where very many others have something to tell just then', () => {
      const { ring, pairs } = crowd();
      const [{ fd, far }] = pairs.slice(-1) as [(typeof pairs)[number]];
      ring.finish(far); // its reset is waited for
      ring.awaitEvents(fd);
      ring.turn();
      for (const each of pairs.slice(0, -1)) ring.say(each.far, 'x');
      freeze(ring, fd);
      ring.libc.close(fd); // and nobody turns any more
      expect(ring.hear(far)).toBeUndefined();
    });

    it('is one also where the kernel does not find its receive at first', () => {
      const ring = new RingScene(undefined, findingNothingOnce());
      const { fd, far } = ring.device();
      ring.turn();
      freeze(ring, fd);
      ring.say(far, 'for another');
      for (let turn = 0; turn < 5; turn++) ring.turn();
      expect(ring.hear(fd)?.toString()).toBe('for another');
    });

    it('is one also where very many others have something to tell just then', () => {
      const { ring, pairs } = crowd();
      const [{ fd, far }] = pairs.slice(-1) as [(typeof pairs)[number]];
      for (const each of pairs) ring.say(each.far, 'x');
      freeze(ring, fd);
      ring.say(far, 'for another');
      for (let turn = 0; turn < 50; turn++) ring.turn();
      const unread = Buffer.from(ring.reader.unreadOf(fd)).toString();
      expect(unread + ring.hear(fd)?.toString()).toBe('xfor another');
    });

    it('is none where its reset was received: that is told, and read', () => {
      const ring = new RingScene();
      const { fd, far } = ring.device();
      ring.turn();
      ring.reset(far);
      expect(ring.awaitEvents(fd) & EPOLLERR).toBe(EPOLLERR);
      expect(ring.freezer.settle([fd])).toBe(false);
      expect(ring.reader.receive(fd, ring.table.flags[fd] as number)).toBe(-ECONNRESET);
    });

    it('is none where the reset of another of its connection was received: it receives on', () => {
      const ring = new RingScene();
      const [kept, lost] = [ring.device(), ring.device()];
      ring.turn();
      ring.reset(lost.far);
      ring.awaitEvents(lost.fd);
      expect(ring.freezer.settle([kept.fd, lost.fd])).toBe(false);
      ring.say(kept.far, 'on');
      ring.awaitEvents(kept.fd);
      expect(ring.read(kept.fd)).toBe('on');
    });
  });

  it('that has lost completions says so, and nobody goes on with what may miss bytes', () => {
    const libc = loadLibc();
    const EBADR = 53;
    let loses = false;
    const uringEnter: Libc['uringEnter'] = (...args) => (loses ? -EBADR : libc.uringEnter(...args));
    const ring = new RingScene(undefined, { ...libc, uringEnter });
    const { fd } = ring.device();
    ring.turn();
    loses = true;
    expect(() => ring.turn()).toThrow('io_uring has lost completions');
    loses = false; // it is told once
    ring.turn();
    expect(ring.freezer.settle([fd])).toBe(false);
  });

  it('tells of a reset also where nothing is received, because what came is not read', () => {
    const ring = new RingScene();
    const { fd, far } = ring.device();
    ring.sayUntilFull(far);
    ring.told(fd); // that bytes came
    ring.reset(far);
    expect(ring.awaitEvents(fd) & EPOLLERR).toBe(EPOLLERR);
  });

  it('tells of a reset also behind a FIN', () => {
    const ring = new RingScene();
    const { fd, far } = ring.device();
    ring.finish(far);
    ring.until(
      () =>
        (ring.awaitEvents(fd) && ring.reader.receive(fd, ring.table.flags[fd] as number) === 0) || undefined,
    );
    for (let turn = 0; turn < 5; turn++) ring.turn();
    ring.told(fd); // the end of one direction
    ring.reset(far);
    expect(ring.awaitEvents(fd) & EPOLLERR).toBe(EPOLLERR);
  });

  it('shows the core as idle while it waits, where the kernel can', () => {
    const libc = loadLibc();
    const waits: number[] = [];
    const uringEnter: Libc['uringEnter'] = (...args) => {
      waits.push(args[3]);
      return libc.uringEnter(...args);
    };
    const ring = new RingScene(undefined, { ...libc, uringEnter });
    ring.turn();
    const NO_IOWAIT = 1 << 7;
    const isKnown = libc.uringEnter(-1, 0, 0, NO_IOWAIT, 0, 0) !== -EINVAL;
    expect(new Set(waits.map((flags) => (flags & NO_IOWAIT) !== 0))).toEqual(new Set([isKnown]));
  });

  it('tells of as many as there are buffers for, not of some 20, where a turn may take long', () => {
    const { ring, pairs } = crowd();
    for (const { far } of pairs) ring.say(far, 'x');
    expect(ring.poller.wait(0)).toBeGreaterThan(100);
  });

  it('closes a listening socket at once, also where very many others have something to tell just then', () => {
    const { ring, pairs } = crowd();
    for (const { far } of pairs) ring.say(far, 'x');
    ring.watchListener();
    ring.turn();
    for (const { far } of pairs) ring.say(far, 'y');
    ring.closeListener();
    const late = ring.dial();
    expect(ring.hear(late)).toBeUndefined(); // it is refused
  });

  it('wakes up for a descriptor as long as it can be read, and no more when it was read', () => {
    const ring = new RingScene();
    const wakeFd = ring.libc.eventfd(1, SOCK_NONBLOCK);
    ring.poller.add(wakeFd, 0, EPOLLIN);
    for (let turn = 0; turn < 3; turn++) expect(ring.awaitEvents(wakeFd)).toBe(EPOLLIN);
    ring.libc.read(wakeFd, ring.libc.pin(8).address, 8);
    ring.turn();
    expect(ring.told(wakeFd)).toBeUndefined();
    ring.poller.forget(wakeFd);
    ring.libc.close(wakeFd);
  });
});

/** A socket that much has come at, which is read. */
function busy() {
  const libc = { ...loadLibc() };
  const ring = new RingScene(undefined, libc);
  const pair = ring.device();
  const length = 65_536;
  ring.say(pair.far, Buffer.alloc(length, 'x'));
  expect(ring.readAll(pair.fd, length).length).toBe(length);
  ring.turn();
  ring.read(pair.fd);
  ring.told(pair.fd);
  return { ring, ...pair };
}

/** So many that the kernel does not come to all of them in a few calls. */
function crowd() {
  const ring = new RingScene();
  const pairs = Array.from({ length: 450 }, () => ring.device());
  ring.turn();
  return { ring, pairs };
}

const flagsOf = (ring: RingScene, fd: number): number => ring.table.flags[fd] as number;
const notAgain = (result: number): number | undefined => (result === -EAGAIN ? undefined : result);

/** As a hand-over does, to one socket. */
function freeze(ring: RingScene, fd: number): void {
  expect(ring.freezer.settle([fd])).toBe(true);
  ring.freezer.freeze(fd);
}

const SQE_WORDS = 16;
const OP_ASYNC_CANCEL = 14;

/** With such a libc the kernel is asked for something else where the first operation is to be cancelled. */
function findingNothingOnce(): Libc {
  const libc = loadLibc();
  const maps: ArrayBuffer[] = [];
  let isDone = false;
  return {
    ...libc,
    map(...args) {
      const mapping = libc.map(...args);
      maps.push(mapping.memory);
      return mapping;
    },
    uringEnter(...args) {
      const submissions = new Uint32Array(maps[1] as ArrayBuffer);
      for (let at = 0; !isDone && at < submissions.length; at += SQE_WORDS) {
        if (((submissions[at] as number) & 0xff) !== OP_ASYNC_CANCEL) continue;
        submissions[at + 4] = 0; // what is looked for
        isDone = true;
      }
      return libc.uringEnter(...args);
    },
  };
}
