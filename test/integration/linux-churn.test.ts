import { readdirSync } from 'node:fs';
import { expect, it } from 'vitest';
import { Devices } from '../../bench/load/devices.ts';
import { residentBytes } from '../../bench/load/gauges.ts';
import { createPackets } from '../../bench/load/mqtt.ts';
import { Sink } from '../../bench/load/sink.ts';
import { type Role, Station } from '../../bench/load/station.ts';
import { freePort } from '../support/free-port.ts';
import { linuxEngines } from '../support/linux-engines.ts';
import { start } from '../support/process.ts';
import { patience, until } from '../support/wait.ts';

const CONNECTS = 40_000;
/** So many are served at a node; the others only look whether we listen. */
const SERVED_ONE_IN = 4;
/** The heap has found its size by then. */
const WARM_UP = 20_000;
const AT_ONCE = 100;
/** Fifty bytes for each of the connections behind the warm-up. */
const LEAK_BYTES = 50 * (CONNECTS - WARM_UP);

it.each(
  linuxEngines,
)('after 40,000 connects one after another the %s engine has the descriptors and the memory of the start', {
  timeout: patience(90_000),
}, async (engine) => {
  const sink = { host: '127.0.0.1', port: await freePort() };
  const proxy = start(process.execPath, [
    '--max-semi-space-size=1', // garbage is not to pass for a leak
    'dist/bench/stand-in.js',
    `--engine=${engine}`,
    `--node=${sink.port}`,
  ]);
  const [, port] = await until(() => /listening on (\d+)/.exec(proxy.output()), 'the listener');
  const address = { host: '127.0.0.1', port: Number(port) };
  const descriptors = (): number => readdirSync(`/proc/${proxy.pid}/fd`).length;
  const before = descriptors();

  const station = new Station();
  const packets = createPackets(station.libc);
  new Sink(station, packets, sink, 'swallow');
  const devices = new Devices(station, packets, address);
  let dialled = 0;
  let done = 0;
  const leave = (fd: number): void => {
    done++;
    station.reset(fd);
  };
  devices.onConnected = leave;
  const passerBy: Role = { event: leave };
  const connect = (count: number): void => {
    while (done < count && devices.failed === 0) {
      for (; dialled < count && dialled - done < AT_ONCE; dialled++) {
        if (dialled % SERVED_ONE_IN === 0) devices.dial();
        else station.dial(address, passerBy, undefined, false);
      }
      station.turn(100);
    }
  };
  const settled = (): Promise<unknown> =>
    until(() => {
      station.turn(0); // the last links end at the sink
      return descriptors() === before;
    }, `${before} descriptors, as before`);

  connect(WARM_UP);
  await settled();
  const resident = residentBytes([proxy.pid]);
  connect(CONNECTS);
  await settled();
  expect([done, devices.failed]).toEqual([CONNECTS, 0]);
  expect(residentBytes([proxy.pid]) - resident).toBeLessThan(LEAK_BYTES);
  expect(proxy.output()).not.toMatch(/error/i);
});
