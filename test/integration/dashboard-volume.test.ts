import type { Browser, BrowserContext } from 'playwright-core';
import { afterAll, beforeAll, describe, expect, onTestFinished, test } from 'vitest';
import type { ClientView } from '../../src/admin/backend.ts';
import { startAdmin } from '../support/admin.ts';
import { newContext, noBrowser, openPage, startBrowser } from '../support/browser.ts';
import {
  clientPage,
  createMemoryBackend,
  memoryClient,
  memoryNode,
  silentLog,
} from '../support/memory-backend.ts';
import { patience } from '../support/wait.ts';

/** The dashboard of a large cluster: 200 nodes, 100,000 devices. */

const NODES = 200;
const DEVICES = 100_000;

describe.skipIf(noBrowser !== '')(`dashboard of many${noBrowser}`, () => {
  let browser: Browser;
  let context: BrowserContext;
  let clients: ClientView[];
  let url: string;

  beforeAll(async () => {
    const nodes = Array.from({ length: NODES }, (_, i) =>
      memoryNode(`node-${i}`, { connections: 500, health: i === 150 ? 'unhealthy' : 'healthy' }),
    );
    clients = Array.from({ length: DEVICES }, (_, i) =>
      // Many devices bring no client id.
      memoryClient(i % 3 === 0 ? '' : `meter-${i}`, { connection: i, node: `node-${i % NODES}` }),
    );
    const backend = createMemoryBackend(nodes);
    backend.clients = async ({ node, match = '', after, limit }) => {
      const found = clients.filter(
        (client) => client.clientId.includes(match) && (node === undefined || client.node === node),
      );
      return clientPage(found, after, limit);
    };
    const tokens = () => [];
    const admin = await startAdmin({ url: 'http://127.0.0.1:0', tokens, backend, log: silentLog });
    url = admin.url;
    browser = await startBrowser();
    context = await newContext(browser);
    await context.newPage(); // keeps the window open, which costs more than a page
    return () => admin.close();
  });
  afterAll(() => browser?.close());

  async function open(at: string) {
    const { page, faults } = await openPage(context);
    page.setDefaultTimeout(patience(10_000));
    onTestFinished(() => page.close());
    await page.goto(`${url}/${at}`);
    return { page, faults };
  }

  test('of 200 nodes the ill one is on top, and any other is found by its name', async () => {
    const { page, faults } = await open('#overview');
    const first = page.locator('#nodes [data-key]').first();
    await first.filter({ hasText: 'unhealthy' }).waitFor();
    expect(await first.getAttribute('data-key')).toBe('node-150');
    expect(await page.locator('#nodes [data-key]').count()).toBe(100);
    expect(await page.locator('#nodes-rest').textContent()).toContain('100 more nodes');
    await page.getByLabel('Filter nodes').fill('node-199');
    await page.locator('#nodes [data-key="node-199"]').waitFor();
    expect(await page.locator('#nodes [data-key]').count()).toBe(1);
    expect(faults).toEqual([]);
  });

  test('of 100,000 devices there are as many rows as are in sight, however far one scrolls', async () => {
    const { page, faults } = await open('#devices');
    await page.locator('#clients-count', { hasText: 'the first 200 of 100,000 devices' }).waitFor();
    const rows = page.locator('#clients [role=row]');
    const bound = await rows.count();
    expect(bound).toBeLessThan(50);
    const bottom = () => page.locator('#clients').evaluate((list) => list.scrollTo(0, list.scrollHeight));
    await bottom();
    await page.locator('#clients-count', { hasText: 'the first 2,000 of' }).waitFor();
    await bottom();
    await page.locator('#clients-count', { hasText: 'the first 10,000 of' }).waitFor();
    await bottom();
    await page.locator('#clients [aria-rowindex="10000"]').waitFor();
    expect(await rows.count()).toBeLessThan(50);
    await page.getByRole('button', { name: 'Next 10,000' }).click();
    await page.locator('#clients-count', { hasText: '10,001 to 10,200 of 100,000 devices' }).waitFor();
    const behind = `#device/%23${clients[10_000]?.connection}%40edge-1`;
    await page.locator(`#clients a[href="${behind}"]`).waitFor();
    await page.getByRole('button', { name: 'Back' }).click();
    await page.locator('#clients-count', { hasText: 'the first 200 of 100,000 devices' }).waitFor();
    expect(faults).toEqual([]);
  });

  test('devices without a client id are as many rows as there are, each with its own page', async () => {
    const { page } = await open('#devices');
    await page.locator('#clients-count', { hasText: '100,000' }).waitFor();
    const links = page.locator('#clients [role=row]:visible a');
    const shown = await links.evaluateAll((all) => all.map((link) => link.getAttribute('href')));
    const wanted = clients
      .slice(0, shown.length)
      .map(({ connection }) => `#device/%23${connection}%40edge-1`);
    expect(shown.toSorted()).toEqual(wanted.toSorted());
    expect(await page.getByText('(no client id)').count()).toBeGreaterThan(3);
  });

  test('it is used by the keyboard alone: along the rows, into a page, and back to the row', async () => {
    const { page } = await open('#overview');
    const focused = () => page.evaluate('document.activeElement.textContent');
    await page.getByLabel('Filter nodes').focus();
    for (let i = 0; i < 8 && (await focused()) !== 'node-150'; i++) await page.keyboard.press('Tab');
    expect(await focused()).toBe('node-150');
    await page.keyboard.press('Enter');
    await page.locator('#panel .big', { hasText: 'unhealthy' }).waitFor();
    await page.keyboard.press('Escape');
    await page.locator('#panel').waitFor({ state: 'hidden' });
    expect(await focused()).toBe('node-150');
    await page.getByRole('link', { name: 'Devices' }).click();
    await page.locator('#clients [aria-rowindex="1"]').waitFor();
    await page.locator('#clients').focus();
    for (let i = 0; i < 30; i++) await page.keyboard.press('ArrowDown');
    const row = await page.evaluate("document.activeElement.closest('[aria-rowindex]').ariaRowIndex");
    expect(row).toBe('30');
  });
});
