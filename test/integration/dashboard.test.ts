import { existsSync } from 'node:fs';
import { type Browser, chromium, type Page } from 'playwright-core';
import { afterAll, beforeAll, beforeEach, describe, expect, onTestFinished, test } from 'vitest';
import { startAdmin } from '../../src/admin/admin.ts';
import {
  adminToken,
  createMemoryBackend,
  memoryClient,
  memoryNode,
  silentLog,
} from '../support/memory-backend.ts';

const CHROMIUM = '/usr/bin/chromium';
const HOSTILE = '<img src=x onerror="window.hacked = 1">\u202e';
const at = '2026-01-01T12:00:00.000Z';
const missing = !existsSync(CHROMIUM);

describe.skipIf(missing)(
  `dashboard${missing ? ` (skipped: no ${CHROMIUM}; install the package chromium)` : ''}`,
  () => {
    let browser: Browser;
    beforeAll(async () => {
      const quiet = ['background-networking', 'component-update', 'sync', 'quic'].map(
        (what) => `--disable-${what}`,
      );
      const args = ['--no-sandbox', '--disable-gpu', '--no-first-run', ...quiet];
      browser = await chromium.launch({ executablePath: CHROMIUM, args });
    });
    afterAll(() => browser.close());

    let page: Page;
    let faults: string[];
    beforeEach(async () => {
      page = await browser.newPage({ viewport: { width: 1280, height: 900 }, colorScheme: 'light' });
      page.setDefaultTimeout(10_000);
      faults = [];
      // What the policy refuses is told here, and so is any exception.
      page.on('console', (message) => message.type() === 'error' && faults.push(message.text()));
      page.on('pageerror', (error) => faults.push(error.message));
      return () => page.close();
    });

    async function open(token?: string) {
      const nodes = [
        memoryNode('a', { connections: 30 }),
        memoryNode('b', { health: 'unhealthy', connections: 10 }),
      ];
      const clients = [memoryClient('meter-1'), memoryClient('pump-7'), memoryClient(HOSTILE)];
      const backend = createMemoryBackend(nodes, clients);
      const admin = await startAdmin({
        url: 'http://127.0.0.1:0',
        tokens: () => (token === undefined ? [] : [adminToken(token)]),
        backend,
        log: silentLog,
      });
      onTestFinished(() => admin.close());
      await page.goto(admin.url);
      return { backend, admin };
    }
    const text = (selector: string) => page.locator(selector).textContent();
    const nodeRow = (id: string) => page.locator(`#nodes tr[data-key="${id}"]`);
    const seen = (selector: string, what: string | RegExp) =>
      page.locator(selector, { hasText: what }).first().waitFor();

    test('shows status, nodes and clients, and obeys its own policy', async () => {
      await open();
      await seen('#ready', 'ready');
      expect(await text('#connections')).toBe('40');
      expect(await text('#healthy')).toBe('1 of 2');
      expect(await nodeRow('b').textContent()).toMatch(/mqtt:\/\/b:1883\s+default\s+unhealthy\s+enabled/);
      const widths = await page
        .locator('.meter-fill')
        .evaluateAll((all) => all.map((one) => one.style.width));
      expect(widths[0]).toBe('100%');
      expect(Number.parseFloat(widths[1] ?? '')).toBeCloseTo(33.3, 0);
      expect(await text('#clients-count')).toBe('3 clients');
      expect(faults).toEqual([]);
    });

    test('what a device chose as its client id is text, never markup', async () => {
      const { backend } = await open();
      await seen('#clients bdi', HOSTILE);
      await seen('#live', 'live');
      backend.emit({ type: 'placed', at, clientId: HOSTILE, node: 'a' });
      await seen('#events bdi', `${HOSTILE} → a`);
      expect(await page.locator('img').count()).toBe(0);
      expect(await page.evaluate('window.hacked')).toBeUndefined();
      const refusal = page.evaluate("document.body.innerHTML = '<b>x</b>'"); // trusted types
      await expect(refusal).rejects.toThrow(/TrustedHTML/);
    });

    test('drain asks first; cancel does nothing, consent drains, enable takes it back', async () => {
      const { backend } = await open();
      const state = () => backend.nodeTable.get('a')?.state;
      await nodeRow('a').getByRole('button', { name: 'Drain', exact: true }).click();
      await page.getByText('Cancel').click();
      expect(state()).toBe('enabled');
      await nodeRow('a').getByRole('button', { name: 'Drain', exact: true }).click();
      await page.locator('#confirm-yes').click();
      await seen('#nodes .badge', 'draining');
      expect(state()).toBe('draining');
      await nodeRow('a').getByText('Enable').click();
      await nodeRow('a').getByRole('button', { name: 'Drain', exact: true }).waitFor();
      expect(state()).toBe('enabled');
    });

    test('disable asks first; weight is changed in place, and a refused one is told', async () => {
      const { backend } = await open();
      await nodeRow('b').getByText('Disable').click();
      await page.locator('#confirm-yes').click();
      await seen('#nodes .badge', 'disabled');
      expect(backend.nodeTable.get('b')?.state).toBe('disabled');
      const weight = page.getByLabel('Weight of a');
      await weight.fill('55');
      await weight.press('Enter');
      await expect.poll(() => backend.nodeTable.get('a')?.weight).toBe(55);
      await weight.fill('500');
      await weight.press('Enter');
      await seen('#toast', 'weight');
      expect(backend.nodeTable.get('a')?.weight).toBe(55);
    });

    test('clients are searched and kicked', async () => {
      const { backend } = await open();
      await page.locator('#search').fill('pump');
      await seen('#clients-count', '1 client');
      await page.getByText('Kick').click();
      expect(await text('#confirm-title')).toBe('Kick pump-7?');
      await page.locator('#confirm-yes').click();
      await seen('#clients-count', '0 clients');
      expect(backend.clientTable.has('pump-7')).toBe(false);
    });

    test('events arrive as they happen, newest first, and can be filtered', async () => {
      const { backend } = await open();
      await seen('#live', 'live');
      backend.emit({ type: 'placed', at, clientId: 'meter-1', node: 'a' });
      backend.emit({ type: 'node-health', at, node: 'b', health: 'healthy', cause: 'probe passed' });
      await seen('#events li:nth-child(1)', 'b health healthy · cause probe passed');
      await seen('#events li:nth-child(2)', 'meter-1 → a');
      await page.locator('#filter').selectOption('node');
      expect(await page.locator('#events li:visible').count()).toBe(1);
    });

    test('the token is asked for, asked again when wrong, kept in the tab, and sent with the event stream', async () => {
      const { backend } = await open('T0KEN');
      const field = page.getByLabel('Admin token', { exact: true }).and(page.locator('input'));
      await field.fill('wrong');
      await field.press('Enter');
      await seen('#token-fault', 'the token is wrong');
      await field.fill('T0KEN');
      await field.press('Enter');
      await seen('#ready', /^ready$/);
      await seen('#live', 'live');
      expect(backend.listeners.size).toBe(1);
      await page.reload();
      await seen('#ready', /^ready$/);
      expect(await page.locator('#ask-token').isVisible()).toBe(false);
      expect(await page.evaluate('[localStorage.length, document.cookie]')).toEqual([0, '']);
    });

    test('a lost proxy is told, and found again', async () => {
      const { backend, admin } = await open();
      await seen('#live', 'live');
      await admin.close();
      await seen('#ready', 'not reachable');
      await seen('#live', 'reconnecting');
      const again = await startAdmin({ url: admin.url, tokens: () => [], backend, log: silentLog });
      onTestFinished(() => again.close());
      await seen('#ready', /^ready$/);
      await seen('#live', 'live');
      expect(await page.locator('#live').textContent()).toBe('live');
    });
  },
);
