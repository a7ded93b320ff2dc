import type { Browser, Page } from 'playwright-core';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { Breakwater } from '../support/breakwater.ts';
import { newContext, noBrowser, openPage, startBrowser } from '../support/browser.ts';
import { agree, connectionsOf, startProxy } from '../support/cluster.ts';
import { clientIds, connectDevices, type Device } from '../support/devices.ts';
import { type Mosquitto, startMosquitto } from '../support/mosquitto.ts';
import { startRedis } from '../support/redis.ts';
import { patience, until } from '../support/wait.ts';

/** The dashboard before two real proxies and three real brokers; the tests of this file build on each other. */
const DEVICES = 60;

describe.skipIf(noBrowser !== '')(`dashboard of a real cluster${noBrowser}`, () => {
  let browser: Browser;
  let page: Page;
  let faults: string[];
  let proxies: Breakwater[] = [];
  let devices: Device[] = [];
  const brokers = new Map<string, Mosquitto>();

  beforeAll(async () => {
    const redis = await startRedis();
    for (const id of ['b1', 'b2', 'b3']) brokers.set(id, await startMosquitto());
    const nodes = [...brokers].map(([id, { url }]) => ({ id, url }));
    const config = {
      listeners: [{ url: 'mqtt://127.0.0.1:0', mode: 'session' }],
      pools: { default: { nodes, health: { interval: 2 } } },
    };
    proxies = await Promise.all(['p1', 'p2'].map((id) => startProxy(redis, id, config)));
    await agree(proxies, ['b1', 'b2', 'b3']);
    const sets = proxies.map(({ port }, i) =>
      connectDevices(port, clientIds(DEVICES / 2, `p${i + 1}-device`)),
    );
    devices = (await Promise.all(sets)).flat();
    browser = await startBrowser();
    ({ page, faults } = await openPage(await newContext(browser)));
    page.setDefaultTimeout(patience(15_000));
    await page.goto(`${proxies[0]?.adminUrl}/`);
    await page.locator('#live', { hasText: /^live$/ }).waitFor();
  });
  afterAll(() => browser?.close());

  const seen = (selector: string, what: string | RegExp) =>
    page.locator(selector, { hasText: what }).first().waitFor();
  const order = () =>
    page.locator('#nodes [data-key]').evaluateAll((all) => all.map((row) => row.dataset.key));

  test('every node is well, and both proxies are there with their shares', async () => {
    await seen('#healthy', '3 of 3');
    expect(await page.locator('#problems .bad').count()).toBe(0);
    await seen('#connections', String(DEVICES));
    await seen('#proxies [data-key="p1"]', '100 % of share');
    await seen('#proxies [data-key="p2"]', '100 % of share');
  });

  test('a node dies: it is on top with the cause, and the incident says what became of its devices', async () => {
    const { b2 = 0 } = await connectionsOf(proxies[0] as Breakwater);
    brokers.get('b2')?.kill('SIGKILL');
    await seen('#problems li', /b2 is unhealthy.+since \d\d:\d\d:\d\d/);
    await until(async () => (await order())[0] === 'b2', 'the dead node on top');
    await seen('#nodes [data-key="b2"]', 'unhealthy');
    await seen('#incidents', new RegExp(`b2 lost: ${b2} sessions moved to b.*, 0 disconnected`));
    await seen('#events', /b2 is unhealthy/);
    expect(devices.filter(({ socket }) => socket.closed)).toEqual([]);
  });

  test('a node is drained on the page: it is shown how far it has come, until the node is empty', async () => {
    await page.locator('#nodes [data-key="b1"]').getByRole('button', { name: 'Drain' }).click();
    await page.getByLabel('Sessions a second').fill('15');
    await page.locator('#ask-yes').click();
    await seen('#nodes [data-key="b1"]', /\d+ moved, \d+ left/);
    await seen('#nodes [data-key="b1"]', /empty, \d+ moved/);
    expect((await connectionsOf(proxies[0] as Breakwater)).b1).toBe(0);
    expect(devices.filter(({ socket }) => socket.closed)).toEqual([]);
    await seen('#incidents', /b1 left: \d+ sessions moved/);
  });

  test('a device at the other proxy is found, and its life is told', async () => {
    await page.getByRole('link', { name: 'Devices' }).click();
    await page.getByLabel('Client id contains').fill('p2-device-7');
    await seen('#clients-count', '1 device');
    await page.getByRole('link', { name: 'p2-device-7' }).click();
    await seen('#panel', /Proxy\s*p2/);
    await seen('#panel', /Node\s*b3/);
    await seen('#panel .log', /connected to b\d/);
  });

  test('its packets are shown as they pass', async () => {
    const device = devices.find(({ clientId }) => clientId === 'p2-device-7');
    await page.getByRole('button', { name: 'Trace packets' }).click();
    await until(async () => {
      device?.socket.write(Buffer.of(0xc0, 0)); // PINGREQ, until the trace has begun
      return (await page.locator('#panel .trace li', { hasText: 'PINGRESP' }).count()) > 0;
    }, 'the trace to show a PINGRESP');
    await seen('#panel .trace li', '→ node PINGREQ');
    expect(faults).toEqual([]);
  });
});
