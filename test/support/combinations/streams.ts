import { once } from 'node:events';
import { request as askHttp } from 'node:http';
import { connect, type Socket } from 'node:net';
import { connect as connectTls } from 'node:tls';
import { createWebSocketStream, WebSocket } from 'ws';
import { patience } from '../wait.ts';
import type { ListenerPlan } from './generate.ts';

/** Where a listener is reached. */
export interface Place {
  readonly plan: ListenerPlan;
  readonly port: number;
}

const PATIENCE_MS = 60_000;
/** Who the device is, to a proxy before us. */
export const TOLD_ADDRESS = '10.9.8.7';

const loopback: Readonly<Record<string, string>> = { '[::1]': '::1' };
const open = new Set<Socket>();

/** Destroys whatever is still open. */
export function closeStreams(): void {
  for (const socket of open) socket.destroy();
}

/** TCP, what a proxy before us would say first, and TLS where the listener speaks it. */
export async function openStream({ plan, port }: Place): Promise<Socket> {
  const { scheme, host, sendsHeader, passesTls } = plan;
  const socket = connect({ port, host: loopback[host] ?? '127.0.0.1', noDelay: true });
  open.add(socket);
  socket.on('error', () => {}).once('close', () => open.delete(socket));
  await patiently(once(socket, 'connect'), 'the connection');
  if (sendsHeader) socket.write(`PROXY TCP4 ${TOLD_ADDRESS} 127.0.0.1 4000 ${port}\r\n`);
  if (!['mqtts', 'wss', 'https'].includes(scheme) && !passesTls) return socket;
  const secured = connectTls({ socket, servername: 'localhost', rejectUnauthorized: false });
  secured.on('error', () => {});
  await patiently(closes(secured, once(secured, 'secureConnect')), 'the handshake');
  return secured;
}

/** MQTT's bytes, in WebSocket frames where the listener wants them. */
export async function openMqtt(place: Place) {
  const stream = await openStream(place);
  if (!place.plan.scheme.startsWith('ws')) return stream;
  const url = `ws://localhost:${place.port}${place.plan.path}`;
  const socket = new WebSocket(url, 'mqtt', { createConnection: () => stream });
  const duplex = createWebSocketStream(socket);
  duplex.on('error', () => stream.destroy());
  socket.on('close', () => duplex.destroy());
  await patiently(closes(stream, once(socket, 'open')), 'the upgrade');
  return duplex;
}

/** One request on a connection of its own. */
export async function ask(place: Place, path: string): Promise<{ status: number; body: string }> {
  const stream = await openStream(place);
  const asked = askHttp({ path, headers: { host: 'web.test' }, createConnection: () => stream });
  asked.end();
  const [answer] = await patiently(once(asked, 'response'), 'the answer');
  let body = '';
  for await (const chunk of answer.setEncoding('utf8')) body += chunk;
  stream.destroy();
  return { status: answer.statusCode, body };
}

/** Rejects when the socket closes first. */
function closes<T>(socket: Socket, promise: Promise<T>): Promise<T> {
  const closed = new Promise<never>((_, reject) => {
    socket.once('close', () => reject(new Error('closed')));
  });
  return Promise.race([promise, closed]);
}

export async function patiently<T>(
  promise: Promise<T>,
  what: string,
  ms = patience(PATIENCE_MS),
): Promise<T> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new Error(`waited ${ms} ms for ${what}`)), ms);
  });
  try {
    return await Promise.race([promise, late]);
  } finally {
    clearTimeout(timer);
  }
}
