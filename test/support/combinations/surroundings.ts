import { once } from 'node:events';
import { createServer as createHttp } from 'node:http';
import { createServer as createHttps } from 'node:https';
import { type AddressInfo, createServer as createTcp, type Server, type Socket } from 'node:net';
import { createServer as createTls } from 'node:tls';
import { createAuthority, type Issued } from '../certificates.ts';
import { freePort } from '../free-port.ts';
import { startMosquitto } from '../mosquitto.ts';
import { atEnd } from '../process.ts';
import { startRedis } from '../redis.ts';

export type Protocol = 'MQTT' | 'HTTP' | 'TCP' | 'TLS';

/** One that may be a node: by these URLs. */
export type NodeServer = readonly string[];

/** What stands around the proxies of all combinations: real servers, each of which any pool may have as a node. */
export interface Surroundings {
  readonly servers: Readonly<Record<Protocol, readonly NodeServer[]>>;
  readonly redisUrl: string;
  /** Of the authority that signed everything here. */
  readonly caFile: string;
  /** What a listener shows. */
  readonly certificate: Issued;
}

const HOST = '127.0.0.1';

async function listen(server: Server): Promise<number> {
  const open = new Set<Socket>();
  server.on('connection', (socket: Socket) => {
    open.add(socket);
    socket.on('error', () => {}).once('close', () => open.delete(socket));
  });
  await once(server.listen(0, HOST), 'listening');
  atEnd(() => {
    server.close();
    for (const socket of open) socket.destroy();
  });
  return (server.address() as AddressInfo).port;
}

export async function startSurroundings(): Promise<Surroundings> {
  const authority = createAuthority('combinations');
  const certificate = authority.issue({ cn: 'proxy.test', names: 'DNS:localhost,IP:127.0.0.1,IP:::1' });
  const { cert, key, certFile, keyFile } = certificate;
  const echo = (socket: Socket) => void socket.on('error', () => {}).pipe(socket);
  const three = [0, 1, 2];

  const mqtt = await Promise.all(
    three.map(async () => {
      const secure = await freePort();
      const tls = [`listener ${secure} ${HOST}`, `certfile ${certFile}`, `keyfile ${keyFile}`];
      const { url } = await startMosquitto({ config: tls.join('\n') });
      return [url, `mqtts://${HOST}:${secure}`];
    }),
  );
  const http = await Promise.all(
    three.map(async (index) => {
      const answer = (_: unknown, response: { end(text: string): void }) => response.end(`web ${index}`);
      const [plain, secure] = [createHttp(answer), createHttps({ cert, key }, answer)];
      return [`http://${HOST}:${await listen(plain)}`, `https://${HOST}:${await listen(secure)}`];
    }),
  );
  const tcp = await Promise.all(three.map(async () => [`tcp://${HOST}:${await listen(createTcp(echo))}`]));
  const tls = await Promise.all(
    three.map(async () => [`tcp://${HOST}:${await listen(createTls({ cert, key }, echo))}`]),
  );
  const { url: redisUrl } = await startRedis();
  return {
    servers: { MQTT: mqtt, HTTP: http, TCP: tcp, TLS: tls },
    redisUrl,
    caFile: authority.certFile,
    certificate,
  };
}
