import { connectAsync } from 'mqtt';
import { generate, parser } from 'mqtt-packet';
import { expect, test } from 'vitest';
import { startBreakwater } from '../support/breakwater.ts';
import { connectDevice } from '../support/devices.ts';
import { startMosquitto } from '../support/mosquitto.ts';
import { residentBytes } from '../support/process.ts';
import { until } from '../support/wait.ts';

const MESSAGES = 1600;
const PAYLOAD_BYTES = 100_000; // 160 MB in all

test('a device that stops reading costs bounded memory and loses nothing', async () => {
  const broker = await startMosquitto({ config: 'log_type subscribe' });
  const breakwater = await startBreakwater({ pools: { default: { nodes: [{ url: broker.url }] } } });
  const { socket } = await connectDevice(breakwater.port, 'slow');
  socket.write(generate({ cmd: 'subscribe', messageId: 1, subscriptions: [{ topic: 'flood', qos: 0 }] }));
  await until(() => broker.output().includes(' flood'), 'the subscription');
  socket.pause();

  const memory = residentBytes(breakwater.pid);
  const publisher = await connectAsync(breakwater.url, { protocolVersion: 4 });
  for (let n = 0; n < MESSAGES; n++) {
    const payload = Buffer.alloc(PAYLOAD_BYTES, n & 255);
    payload.writeUInt32BE(n);
    await publisher.publishAsync('flood', payload, { qos: 1 });
  }
  await publisher.endAsync();
  expect(residentBytes(breakwater.pid) - memory).toBeLessThan((MESSAGES * PAYLOAD_BYTES) / 2);

  const received: number[] = [];
  const packets = parser({ protocolVersion: 4 });
  packets.on('packet', (packet) => {
    if (packet.cmd !== 'publish') return;
    const payload = packet.payload as Buffer;
    const n = payload.readUInt32BE();
    const whole = payload.subarray(4).equals(Buffer.alloc(PAYLOAD_BYTES - 4, n & 255));
    received.push(whole ? n : -1);
  });
  socket.on('data', (chunk: Buffer) => packets.parse(chunk)).resume();
  await until(() => received.length >= MESSAGES, 'all messages');
  expect(received).toEqual(Array.from({ length: MESSAGES }, (_, n) => n));
});
