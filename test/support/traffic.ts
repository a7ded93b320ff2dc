import { connectAsync, type IClientOptions, type MqttClient } from 'mqtt';
import { until } from './wait.ts';

/** Devices that are not ours, and what they hear of each other. */

/** What each device of the traffic sends and hears, by topic: every message is a number of its own. */
export interface Traffic {
  readonly clients: readonly MqttClient[];
  /** Why devices were disconnected. */
  readonly ends: string[];
  stop(): Promise<void>;
  /** Acknowledged and not heard, of QoS 1 and 2. */
  lost(): string[];
  /** Heard more than once, of QoS 2. */
  twice(): string[];
  sent(): number;
}

/** Pauses are of each device, behind each message. */
export async function startTraffic(
  urls: readonly string[],
  perUrl: number,
  { pauseMs = 5, keepalive = 2 } = {},
): Promise<Traffic> {
  const ends: string[] = [];
  const acknowledged = new Set<string>();
  const heard = new Map<string, number>();
  const devices = urls.flatMap((url) =>
    Array.from({ length: perUrl }, (_, i) => ({ url, protocolVersion: i % 2 === 0 ? 4 : 5 }) as const),
  );
  let sent = 0;
  const clients = await Promise.all(
    devices.map(async ({ url, protocolVersion }, i) => {
      const options: IClientOptions = {
        ...{ clientId: `device-${i}`, protocolVersion, reconnectPeriod: 0, keepalive },
        ...{ rejectUnauthorized: false, connectTimeout: 60_000 },
      };
      const client = await connectAsync(url, options);
      client.on('close', () => ends.push(`${url} ${protocolVersion}`));
      client.on('error', (error) => ends.push(`${url} ${protocolVersion} ${error.message}`));
      client.on('message', (_, payload) => heard.set(`${payload}`, (heard.get(`${payload}`) ?? 0) + 1));
      await client.subscribeAsync(`traffic/${i}`, { qos: 2 });
      return client;
    }),
  );
  let goesOn = true;
  /** By device. */
  const underWay = new Map<number, string>();
  /** Each device sends to its neighbour: most of the time by another listener, and another thread. */
  const loops = clients.map(async (client, i) => {
    for (let n = 0; goesOn; n++) {
      const qos = (n % 3) as 0 | 1 | 2;
      const message = `${i} ${n} qos${qos}`;
      sent++;
      underWay.set(i, message);
      await client.publishAsync(`traffic/${(i + perUrl) % clients.length}`, message, { qos });
      underWay.delete(i);
      if (qos > 0) acknowledged.add(message);
      await new Promise((resolve) => setTimeout(resolve, pauseMs));
    }
  });
  const lost = (): string[] => [...acknowledged].filter((message) => !heard.has(message));
  return {
    ...{ clients, ends, lost, sent: () => sent },
    twice: () => [...heard].filter(([message, count]) => message.endsWith('qos2') && count > 1).map(String),
    async stop() {
      goesOn = false;
      await until(() => underWay.size === 0, 'every acknowledgement').catch((error: Error) => {
        throw new Error(
          `${error.message}: ${[...underWay.values()]}; disconnected: ${ends.join(', ') || 'none'}`,
        );
      });
      await Promise.all(loops);
      await until(() => lost().length === 0, 'everything to be heard');
    },
  };
}
