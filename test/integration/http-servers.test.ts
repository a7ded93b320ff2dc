import { createHash, randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { readFileSync, writeFileSync } from 'node:fs';
import type { IncomingMessage } from 'node:http';
import { createServer } from 'node:https';
import { type AddressInfo, connect } from 'node:net';
import { join } from 'node:path';
import { beforeAll, expect, test } from 'vitest';
import { WebSocket, WebSocketServer } from 'ws';
import { encodeProxyV1 } from '../../src/protocol/proxy-protocol/encode.ts';
import { type Breakwater, startBreakwater } from '../support/breakwater.ts';
import { type Authority, createAuthority } from '../support/certificates.ts';
import { freePort } from '../support/free-port.ts';
import { startHttpNode } from '../support/http.ts';
import { accepts, atEnd, execute, start, temporaryDirectory } from '../support/process.ts';

/** With what users have: nginx as the nodes, curl as the client, TLS between it and the proxy. */

const directory = temporaryDirectory();
const big = randomBytes(8 * 1024 * 1024);
let proxy: Breakwater;
let authority: Authority;
let urls: { https: string; http: string; chained: string; headed: string };

/** Two nginx servers that tell their name and what they were told, and that take and give files. */
async function startNginx(): Promise<string[]> {
  const ports = [await freePort(), await freePort()];
  writeFileSync(join(directory, 'big'), big);
  const server = (port: number, name: string) => `server {
    listen 127.0.0.1:${port};
    location = /who { add_header Set-Cookie "SID=${name}; Path=/; HttpOnly"; return 200 "${name} $cookie_SID $http_cookie"; }
    location = /told { return 200 "$http_x_forwarded_for|$http_x_forwarded_proto|$http_x_forwarded_host|$http_forwarded|$host"; }
    location = /big { root ${directory}; }
    location /up/ { root ${directory}; dav_methods PUT; create_full_put_path on; client_max_body_size 20m; }
  }`;
  const config = join(directory, 'nginx.conf');
  writeFileSync(
    config,
    `daemon off; pid ${directory}/nginx.pid; error_log stderr warn; worker_processes 1; user root;
events { worker_connections 256; }
http { access_log off; client_body_temp_path ${directory}/body; proxy_temp_path ${directory}/p; fastcgi_temp_path ${directory}/f; uwsgi_temp_path ${directory}/u; scgi_temp_path ${directory}/s;
${server(ports[0] as number, 'one')}
${server(ports[1] as number, 'two')} }
`,
  );
  const nginx = start('nginx', ['-c', config, '-p', directory]);
  for (const port of ports) await accepts(port, nginx);
  return ports.map((port) => `http://127.0.0.1:${port}`);
}

/** A server that lets nobody in without a certificate of the authority, and tells what it was asked by TLS. */
async function startSecured(): Promise<string> {
  const { cert, key } = authority.issue({ cn: 'node', names: 'DNS:node.example' });
  const options = { cert, key, ca: authority.cert, requestCert: true, rejectUnauthorized: true };
  const server = createServer(options, (request, response) => {
    const { servername } = request.socket as { servername?: string };
    response.end(`${servername} ${request.headers.host} ${request.url}`);
  }).listen(0, '127.0.0.1');
  atEnd(() => {
    server.closeAllConnections();
    server.close();
  });
  new WebSocketServer({ server }).on('connection', (socket) => socket.send('by TLS all the way'));
  await once(server, 'listening');
  return `https://127.0.0.1:${(server.address() as AddressInfo).port}`;
}

beforeAll(async () => {
  authority = createAuthority('test CA');
  const shown = authority.issue({ cn: 'breakwater' });
  const { certFile: cert, keyFile: key } = authority.issue({ cn: 'localhost', names: 'DNS:localhost' });
  const nodes = (await startNginx()).map((url, i) => ({ id: `nginx-${i}`, url }));
  const sockets = await startHttpNode(() => {});
  new WebSocketServer({ server: sockets.server }).on('connection', (socket) => {
    socket.on('message', (text) => socket.send(text));
  });
  const secured = await startSecured();
  proxy = await startBreakwater({
    listeners: [
      { url: 'https://127.0.0.1:0', pool: 'web', tls: { cert, key } },
      { url: 'http://127.0.0.1:0', pool: 'rewritten' },
      { url: 'http://127.0.0.1:0', pool: 'web', trustedProxies: ['127.0.0.0/8'] },
      { url: 'http://127.0.0.1:0', pool: 'web', proxyProtocol: 'require', trustedProxies: ['127.0.0.1'] },
    ],
    pools: {
      web: {
        strategy: 'round-robin',
        persistence: { by: 'cookie', expires: 3600, secret: 'a secret' },
        nodes,
      },
      rewritten: {
        strategy: 'round-robin',
        persistence: { by: 'cookie', mode: 'rewrite', name: 'SID' },
        nodes: nodes.map(({ id, url }) => ({ id: `r-${id}`, url })),
      },
      secured: {
        nodes: [{ id: 'secured', url: secured }],
        persistence: { by: 'cookie', name: 'tls' },
        upstream: {
          tls: {
            ca: authority.certFile,
            serverName: 'node.example',
            cert: shown.certFile,
            key: shown.keyFile,
          },
        },
      },
      distrusted: { nodes: [{ id: 'distrusted', url: secured }] },
      sockets: { persistence: { by: 'cookie', name: 'ws' }, nodes: [{ id: 'sockets', url: sockets.url }] },
    },
    rules: [
      { when: { sni: '^localhost$', path: '^/ws$' }, pool: 'sockets' },
      { when: { path: '^/secured(/|$)' }, pool: 'secured' },
      { when: { path: '^/distrusted$' }, pool: 'distrusted' },
    ],
  });
  const [https, http, chained, headed] = proxy.ports;
  urls = {
    https: `https://localhost:${https}`,
    http: `http://localhost:${http}`,
    chained: `http://127.0.0.1:${chained}`,
    headed: `http://127.0.0.1:${headed}`,
  };
});

async function curl(...args: string[]): Promise<string> {
  const trust = ['--cacert', authority.certFile, '--resolve', `localhost:${proxy.ports[0]}:127.0.0.1`];
  const { stdout } = await execute('curl', ['-sS', '--max-time', '10', ...trust, ...args], {
    maxBuffer: 2 ** 25,
  });
  return stdout;
}

test('curl with a cookie jar stays at one nginx, by TLS', async () => {
  const jar = join(directory, 'jar');
  const keep = ['-b', jar, '-c', jar];
  const [name] = (await curl(...keep, `${urls.https}/who`)).split(' ');
  const told = await Promise.all(Array.from({ length: 5 }, () => curl('-b', jar, `${urls.https}/who`)));
  expect(told.map((text) => text.split(' ')[0])).toEqual(Array.from({ length: 5 }, () => name));
  expect(told[0]).not.toContain('breakwater');
  const head = await curl('-i', `${urls.https}/who`);
  expect(head).toMatch(
    /^set-cookie: breakwater=[\w-]+; Path=\/; Max-Age=3600; HttpOnly; SameSite=Lax; Secure\r$/im,
  );
});

test('the cookie of the nginx servers themselves does so too, and each sees its own value', async () => {
  const jar = join(directory, 'jar-2');
  const keep = ['-b', jar, '-c', jar];
  const [name] = (await curl(...keep, `${urls.http}/who`)).split(' ');
  for (let i = 0; i < 4; i++) {
    expect(await curl(...keep, `${urls.http}/who`)).toBe(`${name} ${name} SID=${name}`);
  }
  expect(readFileSync(jar, 'utf8')).toMatch(new RegExp(`SID\t[\\w-]+~${name}\n`));
});

test('large bodies both ways, whole and unchanged', async () => {
  const file = join(directory, 'got');
  const digest = (bytes: Buffer) => createHash('sha256').update(bytes).digest('hex');
  await curl('-o', file, `${urls.https}/big`);
  expect(digest(readFileSync(file))).toBe(digest(big));
  for (const [name, ...how] of [['sized'], ['chunked', '-H', 'Transfer-Encoding: chunked']]) {
    const status = await curl(
      '-T',
      join(directory, 'big'),
      ...how,
      '-w',
      '%{http_code}',
      `${urls.https}/up/${name}`,
    );
    expect(status).toMatch(/201$/);
    expect(digest(readFileSync(join(directory, 'up', name as string)))).toBe(digest(big));
  }
});

test('nginx learns who asked: the device, or what a trusted proxy says of it', async () => {
  const host = new URL(urls.https).host;
  expect(await curl('-H', 'X-Forwarded-For: 10.9.9.9', `${urls.https}/told`)).toBe(
    `127.0.0.1|https|${host}|for=127.0.0.1;proto=https;host="${host}"|localhost`,
  );
  const before = [
    '-H',
    'X-Forwarded-For: 10.9.9.9',
    '-H',
    'X-Forwarded-Proto: https',
    '-H',
    'Host: a.example',
  ];
  expect(await curl(...before, `${urls.chained}/told`)).toBe(
    '10.9.9.9, 127.0.0.1|https|a.example|for=127.0.0.1;proto=http;host=a.example|a.example',
  );
});

test('a PROXY protocol header before the request says who asked', async () => {
  const socket = connect(Number(new URL(urls.headed).port), '127.0.0.1').setEncoding('latin1');
  const source = { address: '192.0.2.7', port: 4711 };
  socket.write(encodeProxyV1({ source, destination: { address: '192.0.2.1', port: 80 } }));
  socket.write('GET /told HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n');
  let text = '';
  for await (const chunk of socket) text += chunk;
  expect(text).toContain('192.0.2.7|http|a|for=192.0.2.7;proto=http;host=a|a');
});

test('a WebSocket by TLS, chosen by server name and path, with a secure cookie on the 101 answer', async () => {
  const socket = new WebSocket(`wss://localhost:${proxy.ports[0]}/ws`, { ca: authority.cert });
  const [answer] = (await once(socket, 'upgrade')) as [IncomingMessage];
  expect(answer.headers['set-cookie']?.[0]).toMatch(/^ws=[\w-]+; Path=\/; HttpOnly; SameSite=Lax; Secure$/);
  if (socket.readyState !== WebSocket.OPEN) await once(socket, 'open');
  socket.send(big.subarray(0, 1_000_000));
  const [echo] = (await once(socket, 'message')) as [Buffer];
  expect(echo.equals(big.subarray(0, 1_000_000))).toBe(true);
  socket.close();
  const [code] = await once(socket, 'close');
  expect(code).toBe(1005);
});

test('curl that keeps its connection gets every answer on it', async () => {
  const requests = Array.from({ length: 20 }, () => `${urls.https}/told`);
  const counts = await curl(
    '-w',
    '%{num_connects}\n',
    '-o',
    '/dev/null',
    ...requests.join(' -o /dev/null ').split(' '),
  );
  expect(
    counts
      .trim()
      .split('\n')
      .map(Number)
      .reduce((sum, count) => sum + count),
  ).toBe(1);
});

test('nodes by TLS: their certificate is verified, ours is shown, and the Host stays the client’s', async () => {
  for (const host of ['a.example', 'b.example', 'a.example']) {
    expect(await curl('-H', `Host: ${host}`, `${urls.https}/secured/x`)).toBe(
      `node.example ${host} /secured/x`,
    );
  }
  const refused = await curl('-w', '%{http_code}', `${urls.https}/distrusted`);
  expect(refused).toBe('502 Bad Gateway: no node can be reached\n502');
  const socket = new WebSocket(`wss://localhost:${proxy.ports[0]}/secured`, { ca: authority.cert });
  const [text] = await once(socket, 'message');
  expect(String(text)).toBe('by TLS all the way');
  socket.close();
  await once(socket, 'close');
});
