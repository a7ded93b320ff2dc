import type { Duplex } from 'node:stream';
import { MqttClient } from 'mqtt';
import { until } from '../wait.ts';
import { ask, openMqtt, openStream, type Place, patiently } from './streams.ts';

/** One that came to a listener and stays, as long as it may. */
export interface Client {
  readonly id: string;
  readonly place: Place;
  isEnded(): boolean;
  /** Rejects unless traffic goes through, all the way to a node and back. */
  check(): Promise<void>;
  end(): void;
}

/** A publish that met a move between brokers that share nothing is lost there; the next one is not. */
const AGAIN_MS = 1_000;
const TRIES = 60;

/** Connects; rejects where it is refused. */
export async function connectClient(place: Place, id: string, version: 4 | 5): Promise<Client> {
  const { scheme } = place.plan;
  if (scheme === 'tcp') return connectEcho(place, id);
  return scheme.startsWith('http') ? connectWeb(place, id) : connectMqtt(place, id, version);
}

async function connectMqtt(place: Place, id: string, protocolVersion: 4 | 5): Promise<Client> {
  const stream = await openMqtt(place);
  const client = new MqttClient(() => stream as never, {
    ...{ clientId: id, protocolVersion, clean: true, keepalive: 60, reconnectPeriod: 0 },
  });
  let isEnded = false;
  client.on('close', () => {
    isEnded = true;
  });
  client.on('error', () => {});
  const accepted = new Promise<void>((resolve, reject) => {
    client.once('connect', () => resolve());
    client.once('error', reject);
    client.once('close', () => reject(new Error(`device ${id} was closed before CONNACK`)));
  });
  try {
    await patiently(accepted, `CONNACK of ${id}`);
    const heard = new Set<string>();
    client.on('message', (_topic, payload) => heard.add(String(payload)));
    await patiently(client.subscribeAsync(`of/${id}`, { qos: 1 }), `SUBACK of ${id}`);
    let sent = 0;
    return {
      ...{ id, place, isEnded: () => isEnded, end: () => void client.end(true) },
      async check() {
        for (let tries = 1; ; tries++) {
          const text = `${sent++}`;
          client.publishAsync(`of/${id}`, text, { qos: 1 }).catch(() => {});
          try {
            await until(() => heard.has(text) || isEnded, `the message of ${id}`, AGAIN_MS);
          } catch (error) {
            if (tries >= TRIES) throw error;
            continue;
          }
          if (isEnded) throw new Error(`device ${id} was disconnected`);
          return;
        }
      },
    };
  } catch (error) {
    client.end(true);
    throw error;
  }
}

async function connectEcho(place: Place, id: string): Promise<Client> {
  const stream: Duplex = await openStream(place);
  let [isEnded, text] = [false, ''];
  stream.on('data', (chunk) => {
    text += chunk;
  });
  stream
    .once('end', () => stream.destroy())
    .once('close', () => {
      isEnded = true;
    });
  const client: Client = {
    ...{ id, place, isEnded: () => isEnded, end: () => void stream.destroy() },
    async check() {
      const word = `${id} ${text.length};`;
      text = '';
      stream.write(word);
      await until(() => text === word || isEnded, `the echo of ${id}`, 60_000);
      if (isEnded) throw new Error(`connection ${id} was closed`);
    },
  };
  await client.check();
  return client;
}

async function connectWeb(place: Place, id: string): Promise<Client> {
  let isEnded = false;
  const client: Client = {
    ...{ id, place, isEnded: () => isEnded },
    async check() {
      const { status, body } = await ask(place, '/');
      if (status !== 200 || !body.startsWith('web ')) throw new Error(`${id} was answered ${status} ${body}`);
    },
    end() {
      isEnded = true;
    },
  };
  await client.check();
  return client;
}
