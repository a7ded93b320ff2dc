import { once } from 'node:events';
import { connect, type Socket } from 'node:net';
import { beforeAll, expect, test } from 'vitest';
import { type Breakwater, startBreakwater } from '../support/breakwater.ts';
import { freePort } from '../support/free-port.ts';
import { ask, startHttpNode } from '../support/http.ts';

/** HTTP listeners that come, change and go while the proxy runs. */

let proxy: Breakwater;
let pools: Record<string, object>;
let url: string;
const mqtt = { url: 'mqtt://127.0.0.1:0' };

beforeAll(async () => {
  const node = async (id: string) => {
    const { url } = await startHttpNode((request, response) => {
      const long = Number(request.headers['x-answer'] ?? 0);
      if (long > 0) response.setHeader('x-long', 'x'.repeat(long));
      if (request.url !== '/slow') return response.end(id);
      response.write(id); // the rest when the client says so
      request.on('data', (chunk) => response.write(chunk)).on('end', () => response.end());
    });
    return { nodes: [{ id, url }] };
  };
  pools = { default: {}, a: await node('a'), b: await node('b') };
  url = `http://127.0.0.1:${await freePort()}`;
  proxy = await startBreakwater({ listeners: [mqtt], pools });
});

async function reload(changes: object): Promise<void> {
  proxy.rewrite({ listeners: [mqtt], pools, ...changes });
  await proxy.api('reload', { method: 'POST' });
}

/** A request whose answer goes on for as long as its body does. */
async function begin(): Promise<Socket> {
  const socket = connect(Number(new URL(url).port), '127.0.0.1').setEncoding('latin1');
  socket.on('error', () => {});
  socket.write('POST /slow HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n1\r\n-\r\n');
  await once(socket, 'data');
  return socket;
}

test('the first HTTP listener of a proxy comes by a reload', async () => {
  await expect(ask(url)).rejects.toThrow('ECONNREFUSED');
  await reload({ listeners: [mqtt, { url, pool: 'a' }] });
  expect(await ask(url)).toMatchObject({ status: 200, body: 'a' });
});

test('another pool and other limits hold from the next request on, and no request is ended', async () => {
  const open = await begin();
  const limits = { http: { maxBodySize: 5 } };
  await reload({ listeners: [mqtt, { url, pool: 'b' }], limits });
  expect(await ask(url)).toMatchObject({ status: 200, body: 'b' });
  expect(await ask(url, { method: 'POST', body: 'longer' })).toMatchObject({ status: 413 });
  open.write('3\r\nend\r\n0\r\n\r\n');
  let text = '';
  for await (const chunk of open) {
    text += chunk;
    if (text.endsWith('0\r\n\r\n')) break;
  }
  expect(text).toContain('\nend\r\n');
});

test('how large a head may be holds for connections from then on, of requests and of answers', async () => {
  const listeners = [mqtt, { url, pool: 'b' }];
  const small = { http: { maxHeadSize: 4096 } };
  const headers = { 'x-long': 'x'.repeat(8_000), 'x-answer': '8000' };
  await reload({ listeners, limits: small });
  expect(await ask(url, { headers })).toMatchObject({ status: 431 });
  await reload({ listeners });
  const answer = await ask(url, { headers });
  expect([answer.status, answer.headers['x-long']?.length]).toEqual([200, 8_000]);
  await reload({ listeners, limits: small });
  expect(await ask(url, { headers })).toMatchObject({ status: 431 });
  expect(await ask(url, { headers: { 'x-answer': '8000' } })).toMatchObject({ status: 502 });
});

test('a bad pool of HTTP changes nothing', async () => {
  const mixed = { ...pools, b: { nodes: [{ url: 'mqtt://127.0.0.1:1' }] } };
  await expect(reload({ listeners: [mqtt, { url, pool: 'b' }], pools: mixed })).rejects.toThrow(
    'speaks MQTT',
  );
  expect(await ask(url)).toMatchObject({ status: 200, body: 'b' });
});

test('a listener that goes ends its connections, and can come again', async () => {
  const open = await begin();
  const closed = new Promise((resolve) => open.once('close', resolve));
  await reload({});
  await closed;
  await expect(ask(url)).rejects.toThrow('ECONNREFUSED');
  await reload({ listeners: [mqtt, { url, pool: 'a' }] });
  expect(await ask(url)).toMatchObject({ status: 200, body: 'a' });
});
