import { randomBytes } from 'node:crypto';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { startAedes } from '../support/aedes.ts';
import { startBreakwater } from '../support/breakwater.ts';
import { startMosquitto } from '../support/mosquitto.ts';
import { execute, temporaryDirectory } from '../support/process.ts';
import { until } from '../support/wait.ts';

async function publish(port: number, version: string, payload: Buffer, ...more: string[]): Promise<void> {
  const file = join(temporaryDirectory(), 'payload');
  writeFileSync(file, payload);
  await execute('mosquitto_pub', [
    '-p',
    `${port}`,
    '-V',
    version,
    '-q',
    '2',
    '-t',
    'big',
    '-f',
    file,
    ...more,
  ]);
}

async function receive(port: number, version: string): Promise<Buffer> {
  const args = ['-p', `${port}`, '-V', version, '-q', '2', '-t', 'big', '-C', '1', '-N', '-W', '20'];
  const { stdout } = await execute('mosquitto_sub', args, { encoding: 'buffer', maxBuffer: 1_000_000 });
  return stdout;
}

test.each([
  'mqttv31',
  'mqttv311',
  'mqttv5',
])('200 kB at QoS 2 pass byte for byte through mosquitto with %s', async (version) => {
  const broker = await startMosquitto({ config: 'log_type subscribe' });
  const { port } = await startBreakwater({ pools: { default: { nodes: [{ url: broker.url }] } } });
  const payload = randomBytes(200_000);
  const received = receive(port, version);
  await until(() => broker.output().includes(' big'), 'the subscription');
  await publish(port, version, payload);
  expect((await received).equals(payload)).toBe(true);
});

test('200 kB at QoS 2 pass byte for byte from one aedes node to another, retained', async () => {
  const brokers = await startAedes(2);
  const nodes = brokers.map(({ url }) => ({ url }));
  const { port } = await startBreakwater({ pools: { default: { strategy: 'round-robin', nodes } } });
  const payload = randomBytes(200_000);
  await publish(port, 'mqttv311', payload, '-r');
  expect((await receive(port, 'mqttv311')).equals(payload)).toBe(true);
});
