import { expect, test } from 'vitest';
import { sendBinary, sendControl } from '../../../../src/connection/websocket/frame-writer.ts';
import { messagesIn } from './frames.ts';

function collect() {
  const sent: Buffer[] = [];
  const toDevice = (bytes: Uint8Array, start: number, end: number): void => {
    sent.push(Buffer.from(bytes.slice(start, end)));
  };
  return { sent, wire: { toDevice } };
}

test.each([
  1, 125, 126, 127, 16_384, 16_385, 65_535, 65_536, 100_000,
])('the ws package reads a frame of %i bytes', async (size) => {
  const { sent, wire } = collect();
  const bytes = Buffer.alloc(size + 7, 'abc');
  sendBinary(wire, bytes, 3, size + 3);
  expect(await messagesIn(Buffer.concat(sent))).toEqual([`binary ${bytes.toString('latin1', 3, size + 3)}`]);
  expect(sent.length).toBe(size > 16_384 ? 2 : 1);
});

test('the ws package reads control frames', async () => {
  const { sent, wire } = collect();
  sendControl(wire, 10, Buffer.from('still here'));
  sendControl(wire, 8, Buffer.of(3, 234));
  expect(await messagesIn(Buffer.concat(sent))).toEqual(['pong still here', 'close 1002']);
});
