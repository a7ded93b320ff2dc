import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { EAGAIN, ECONNRESET, EINTR } from '../../../../src/engine/linux/libc.ts';
import { createOutbox } from '../../../../src/engine/linux/outbox.ts';

/** Memory with made-up addresses, and a kernel that takes what the test lets it take. */
function fakeKernel() {
  const regions: { address: number; bytes: Buffer }[] = [];
  const sent: Buffer[] = [];
  const answers: number[] = [];
  const pin = (size: number) => {
    const region = { address: (regions.length + 1) * 1_000_000, bytes: Buffer.alloc(size) };
    regions.push(region);
    return region;
  };
  const send = (_fd: number, address: number, length: number): number => {
    const room = answers.shift() ?? -EAGAIN;
    if (room < 0) return room;
    const region = regions[Math.floor(address / 1_000_000) - 1] as (typeof regions)[number];
    const start = address % 1_000_000;
    const taken = Math.min(room, length);
    sent.push(Buffer.from(region.bytes.subarray(start, start + taken)));
    return taken;
  };
  const behind: number[] = [];
  const outbox = createOutbox(8, pin, send, (fd) => behind.push(fd));
  return { outbox, answers, behind, sent: () => Buffer.concat(sent) };
}

describe('outbox', () => {
  it('sends in order what the kernel takes, and counts what waits', () => {
    const { outbox, answers, behind, sent } = fakeKernel();
    outbox.push(3, Buffer.from('hello '), 0, 6);
    outbox.push(3, Buffer.from('..world..'), 2, 7);
    expect([outbox.waiting[3], behind]).toEqual([11, [3]]);
    answers.push(4);
    expect(outbox.flush(3)).toBe(4);
    expect(outbox.waiting[3]).toBe(7);
    answers.push(-EINTR, 100);
    expect(outbox.flush(3)).toBe(7);
    expect([outbox.waiting[3], sent().toString()]).toEqual([0, 'hello world']);
  });

  it('gives the errno that ends a socket', () => {
    const { outbox, answers } = fakeKernel();
    outbox.push(1, Buffer.from('x'), 0, 1);
    answers.push(-ECONNRESET);
    expect(outbox.flush(1)).toBe(-ECONNRESET);
    outbox.clear(1);
    expect(outbox.waiting[1]).toBe(0);
    expect(outbox.flush(1)).toBe(0);
  });

  it('keeps every byte in order, whatever the sizes and however little the kernel takes', () => {
    const chunk = fc.uint8Array({ minLength: 1, maxLength: 6000 });
    fc.assert(
      fc.property(
        fc.array(chunk, { maxLength: 8 }),
        fc.array(fc.integer({ min: 1, max: 5000 })),
        (chunks, rooms) => {
          const { outbox, answers, sent } = fakeKernel();
          for (const bytes of chunks) {
            outbox.push(0, bytes, 0, bytes.length);
            answers.push(rooms.pop() ?? 1);
            outbox.flush(0);
            answers.length = 0;
          }
          while (outbox.waiting[0] !== 0) {
            answers.push(10_000);
            outbox.flush(0);
          }
          expect(sent().equals(Buffer.concat(chunks))).toBe(true);
        },
      ),
    );
  });
});
