import { once } from 'node:events';
import { connectAsync, type IClientOptions, type MqttClient } from 'mqtt';
import { parser } from 'mqtt-packet';
import { WebSocket } from 'ws';
import { atEnd } from './process.ts';
import { until } from './wait.ts';

const open = new Set<WebSocket>();
const clients = new Set<MqttClient>();

function endAll(): void {
  for (const socket of open) socket.terminate();
  for (const client of clients) client.end(true);
}

/** mqtt.js over `ws`, or with a `ca` over `wss`; gone when the test file ends. */
export async function connectClient(
  port: number,
  options: IClientOptions = {},
  path = '/mqtt',
): Promise<MqttClient> {
  const scheme = options.ca === undefined ? 'ws' : 'wss';
  const url = `${scheme}://127.0.0.1:${port}${path}`;
  const client = await connectAsync(url, { reconnectPeriod: 0, ...options });
  atEnd(endAll);
  clients.add(client);
  client.once('close', () => clients.delete(client));
  return client;
}

/** A WebSocket that asks for `mqtt`; gone when the test file ends. */
export function startWebSocket(port: number, path = '/mqtt', options = {}): WebSocket {
  const socket = new WebSocket(`ws://127.0.0.1:${port}${path}`, 'mqtt', options);
  atEnd(endAll);
  open.add(socket);
  socket.once('close', () => open.delete(socket));
  return socket;
}

/** One that is open, and the packets that come over it. */
export async function openWebSocket(port: number, path = '/mqtt') {
  const socket = startWebSocket(port, path);
  const packets: string[] = [];
  const reader = parser();
  reader.on('packet', ({ cmd }) => packets.push(cmd));
  socket.on('message', (data: Buffer) => reader.parse(data));
  const closed = once(socket, 'close').then(([code]) => code as number);
  await once(socket, 'open');
  return { socket, closed, packets, hears: (cmd: string) => until(() => packets.includes(cmd), cmd) };
}
