import { existsSync, readFileSync } from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { type Browser, chromium, type Page } from 'playwright-core';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { type Breakwater, startBreakwater } from '../support/breakwater.ts';
import { createAuthority } from '../support/certificates.ts';
import { startMosquitto } from '../support/mosquitto.ts';

const CHROMIUM = '/usr/bin/chromium';
const missing = !existsSync(CHROMIUM);
const mqttJs = readFileSync('node_modules/mqtt/dist/mqtt.min.js');

/** Runs in the page: connects, sends itself a message, and tells what came. */
async function talk(url: string): Promise<string> {
  type Api = typeof import('mqtt');
  const { mqtt } = globalThis as unknown as { mqtt: Api };
  const client = await mqtt.connectAsync(
    url,
    { clientId: 'page', protocolVersion: 5, reconnectPeriod: 0 },
    false,
  );
  const came = new Promise<string>((heard) => client.on('message', (_, payload) => heard(`${payload}`)));
  await client.subscribeAsync('page/echo', { qos: 1 });
  await client.publishAsync('page/echo', 'x'.repeat(100_000), { qos: 1 });
  const text = await came;
  await client.endAsync();
  return `${text.length}`;
}

/** Runs in the page: how the WebSocket ends. */
function closing(url: string): Promise<string> {
  const socket = new WebSocket(url, 'mqtt');
  return new Promise((told) => {
    socket.onopen = () => socket.close(3999);
    socket.onclose = ({ code, wasClean }) => told(`${code} ${wasClean}`);
  });
}

describe.skipIf(missing)(
  `a page in a browser${missing ? ` (skipped: no ${CHROMIUM}; install the package chromium)` : ''}`,
  () => {
    let browser: Browser;
    let page: Page;
    let proxy: Breakwater;
    const site = createServer((request, response) => {
      if (request.url === '/mqtt.js') response.setHeader('content-type', 'text/javascript').end(mqttJs);
      else response.setHeader('content-type', 'text/html').end('<script src="/mqtt.js"></script>');
    });
    beforeAll(async () => {
      await new Promise<void>((listening) => site.listen(0, '127.0.0.1', listening));
      const { port } = site.address() as AddressInfo;
      const broker = await startMosquitto();
      const { certFile: cert, keyFile: key } = createAuthority('Test CA').issue({
        ...{ cn: 'proxy', names: 'IP:127.0.0.1' },
      });
      const tls = { cert, key };
      proxy = await startBreakwater({
        listeners: [
          { url: 'wss://127.0.0.1:0', tls, websocket: { origins: [`http://127.0.0.1:${port}`] } },
          { url: 'wss://127.0.0.1:0', tls, websocket: { origins: ['https://elsewhere.example.com'] } },
        ],
        pools: { default: { nodes: [{ id: 'm', url: broker.url }] } },
      });
      const quiet = ['background-networking', 'component-update', 'sync', 'quic'].map(
        (what) => `--disable-${what}`,
      );
      const args = ['--no-sandbox', '--disable-gpu', '--no-first-run', ...quiet];
      browser = await chromium.launch({ executablePath: CHROMIUM, args });
      page = await browser.newPage({ ignoreHTTPSErrors: true });
      await page.goto(`http://127.0.0.1:${port}/`);
    });
    afterAll(async () => {
      await browser.close();
      site.close();
    });
    const url = (index: number) => `wss://127.0.0.1:${proxy.ports[index]}/mqtt`;

    test('speaks MQTT over wss through the proxy', async () => {
      expect(await page.evaluate(talk, url(0))).toBe('100000');
    });

    test('closes cleanly, with the code that it chose', async () => {
      expect(await page.evaluate(closing, url(0))).toBe('3999 true');
    });

    test('may not connect where its origin is not welcome', async () => {
      expect(await page.evaluate(closing, url(1))).toBe('1006 false');
    });
  },
);
