import { once } from 'node:events';
import { expect, test } from 'vitest';
import { startAedes } from '../support/aedes.ts';
import { startBreakwater } from '../support/breakwater.ts';
import { connectDevice } from '../support/devices.ts';
import { until } from '../support/wait.ts';

async function runningWithDevice(limits: object = {}) {
  const [broker] = await startAedes(1);
  const breakwater = await startBreakwater({ pools: { default: { nodes: [{ url: broker?.url }] } }, limits });
  const device = await connectDevice(breakwater.port, 'last');
  const refusesMore = () =>
    connectDevice(breakwater.port, 'late').then(
      ({ socket }) => {
        socket.destroy();
        return false;
      },
      () => true,
    );
  return { breakwater, device, refusesMore };
}

test('SIGTERM stops accepting, waits for the last device, and exits 0', async () => {
  const { breakwater, device, refusesMore } = await runningWithDevice();
  breakwater.kill('SIGTERM');
  await until(refusesMore, 'the listener to close');
  device.socket.write(Buffer.from([0xc0, 0])); // PINGREQ
  expect([...(await once(device.socket, 'data'))[0]]).toEqual([0xd0, 0]);
  device.socket.end();
  expect(await breakwater.exited).toBe(0);
});

test('a device that stays is closed when the grace is over', async () => {
  const { breakwater, device } = await runningWithDevice({ shutdownGrace: 1 });
  breakwater.kill('SIGTERM');
  await once(device.socket, 'close');
  expect(await breakwater.exited).toBe(0);
});

test('a second signal exits at once, although a device is still there', async () => {
  const { breakwater, device, refusesMore } = await runningWithDevice();
  breakwater.kill('SIGTERM');
  await until(refusesMore, 'the listener to close');
  breakwater.kill('SIGTERM');
  await Promise.all([once(device.socket, 'close'), breakwater.exited]);
});
