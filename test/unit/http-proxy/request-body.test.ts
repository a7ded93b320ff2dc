import type { IncomingMessage } from 'node:http';
import { PassThrough } from 'node:stream';
import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { RequestBody } from '../../../src/http-proxy/request-body.ts';

beforeEach(() => void vi.useFakeTimers({ toFake: ['setInterval', 'clearInterval'] }));
afterEach(() => void vi.useRealTimers());

/** A body of which the client sends `bytesPerSecond`, and a node that takes all of it, or nothing after the first. */
function sending(bytesPerSecond: number, takes = true) {
  const request = Object.assign(new PassThrough({ highWaterMark: 1 }), { complete: false });
  const body = new RequestBody(request as unknown as IncomingMessage, {
    ...{ maxBytes: 1_000_000, minBytesPerSecond: 250 },
    onBegin: () => undefined,
  });
  if (takes) body.resume();
  else body.read(0);
  const second = async () => {
    if (bytesPerSecond > 0) request.write(Buffer.alloc(bytesPerSecond));
    await new Promise(setImmediate);
    vi.advanceTimersByTime(1_000);
    await new Promise(setImmediate);
  };
  return { body, second };
}

test('a body that comes too slowly is ended, once its slow start is over', async () => {
  const { body, second } = sending(100);
  for (let i = 0; i < 16; i++) await second();
  expect(body.destroyed).toBe(false); // 1,600 bytes, where 6 s of 250 are asked for
  await second();
  await second();
  expect([body.destroyed, body.isTooSlow]).toEqual([true, true]);
});

test('one that comes fast enough is not', async () => {
  const { body, second } = sending(250);
  for (let i = 0; i < 100; i++) await second();
  expect([body.destroyed, body.isTooSlow]).toEqual([false, false]);
});

test('nor one that the node does not take', async () => {
  const { body, second } = sending(65_536, false);
  for (let i = 0; i < 100; i++) await second();
  expect([body.destroyed, body.isTooSlow]).toEqual([false, false]);
});

test('chunks of a byte are joined, and come whole and in order; behind many nothing more is read in a turn', async () => {
  const socket = { pause: vi.fn(), resume: vi.fn() };
  const request = Object.assign(new PassThrough({ highWaterMark: 1 << 20 }), { complete: true, socket });
  const body = new RequestBody(request as unknown as IncomingMessage, {
    ...{ maxBytes: 1_000_000, minBytesPerSecond: 0 },
    onBegin: () => undefined,
  });
  const pieces: Buffer[] = [];
  body.on('data', (piece: Buffer) => pieces.push(piece));
  await new Promise(setImmediate);
  const sent = Buffer.from(Array.from({ length: 2000 }, (_, i) => i % 251));
  for (const byte of sent) request.write(Buffer.of(byte));
  request.write(Buffer.alloc(5000));
  request.end('end');
  await new Promise((ended) => body.once('end', ended));
  expect(Buffer.concat(pieces).equals(Buffer.concat([sent, Buffer.alloc(5000), Buffer.from('end')]))).toBe(
    true,
  );
  expect(pieces.length).toBeLessThan(10);
  expect(socket.pause.mock.calls.length).toBeGreaterThan(0);
  expect(socket.resume.mock.calls.length).toBe(socket.pause.mock.calls.length);
});
