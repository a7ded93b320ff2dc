import { connect, type Socket } from 'node:net';
import { expect, it } from 'vitest';
import { endOf } from '../support/fake-node.ts';
import { linuxEngines } from '../support/linux-engines.ts';
import { atEnd, start } from '../support/process.ts';
import { until } from '../support/wait.ts';

const LIMIT = 64;

it.each(
  linuxEngines,
)('without a free descriptor the %s engine refuses devices, says so, and accepts again when some are free', async (engine) => {
  const proxy = start('sh', [
    '-c',
    `ulimit -n ${LIMIT} && exec ${process.execPath} dist/bench/stand-in.js --engine=${engine} --node=1`,
  ]);
  const [, port] = await until(() => /listening on (\d+)/.exec(proxy.output()), 'the listener');
  const devices: Socket[] = [];
  atEnd(() => devices.map((device) => device.destroy()));
  // Not waited for: a refusal can be here before the connect is told.
  const dial = (): Socket => {
    const device = connect(Number(port), '127.0.0.1').on('error', () => undefined);
    devices.push(device);
    return device;
  };

  const ends: Promise<string>[] = [];
  for (let i = 0; i < LIMIT; i++) ends.push(endOf(dial()));
  expect(await Promise.race(ends)).toBe('ECONNRESET');
  await until(() => proxy.output().includes('accept paused: EMFILE'), 'the notice');

  for (const device of devices) device.resetAndDestroy();
  await until(() => proxy.output().includes('accept resumed'), 'the end of the notice');
  const device = dial();
  device.write('anything');
  expect(await endOf(device)).toBe('ECONNRESET'); // served: nothing listens where the stand-in dials
});
