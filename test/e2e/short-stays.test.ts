import { once } from 'node:events';
import { type AddressInfo, createServer } from 'node:net';
import { expect, test } from 'vitest';
import { startBreakwater } from '../support/breakwater.ts';
import { connectDevice } from '../support/devices.ts';
import { atEnd } from '../support/process.ts';
import { until } from '../support/wait.ts';

// A broker that accepts a device each time, and says each time that it stops.

const ACCEPTED_AND_LEAVING = Buffer.of(0x20, 3, 0, 0, 0, 0xe0, 1, 0x8b);

test('it is asked a few times, and more and more slowly; then the device hears what it says (0x8B)', async () => {
  const broker = createServer({ noDelay: true }, (socket) => {
    atEnd(() => void socket.destroy());
    socket.on('error', () => {}).once('data', () => socket.write(ACCEPTED_AND_LEAVING));
  }).listen(0, '127.0.0.1');
  await once(broker, 'listening');
  atEnd(() => void broker.close());
  const { port } = broker.address() as AddressInfo;
  const breakwater = await startBreakwater({
    pools: { default: { nodes: [{ url: `mqtt://127.0.0.1:${port}` }] } },
  });
  const { socket } = await connectDevice(breakwater.port, 'unwanted', { protocolVersion: 5 });
  const heard: Buffer[] = [];
  socket.on('data', (chunk: Buffer) => heard.push(chunk));
  await once(socket, 'close');
  expect(Buffer.concat(heard).toString('hex')).toBe('e0018b');
  const moves = (): number => breakwater.logs().filter(({ msg }) => msg === 'session moved').length;
  await until(() => moves() >= 9, 'the last move in the log');
  expect(moves()).toBe(9);
});
