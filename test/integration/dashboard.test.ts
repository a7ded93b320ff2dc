import type { Browser, BrowserContext, Page } from 'playwright-core';
import { afterAll, beforeAll, beforeEach, describe, expect, onTestFinished, test } from 'vitest';
import type { ClientDetail, NodeView } from '../../src/admin/backend.ts';
import type { Role } from '../../src/config/admin.ts';
import { startAdmin } from '../support/admin.ts';
import { newContext, noBrowser, openPage, startBrowser } from '../support/browser.ts';
import {
  adminToken,
  createMemoryBackend,
  type MemoryBackend,
  memoryClient,
  memoryNode,
  silentLog,
} from '../support/memory-backend.ts';
import { patience } from '../support/wait.ts';

const HOSTILE = '<img src=x onerror="window.hacked = 1">\u202e';
const SHOWN = '<img src=x onerror="window.hacked = 1">\\u202e';
const at = '2026-01-01T12:00:00.000Z';

describe.skipIf(noBrowser !== '')(`dashboard${noBrowser}`, () => {
  let browser: Browser;
  let context: BrowserContext;
  beforeAll(async () => {
    browser = await startBrowser();
    context = await newContext(browser);
    await context.newPage(); // keeps the window open, which costs more than a page
  });
  afterAll(() => browser?.close());

  let page: Page;
  let faults: string[];
  beforeEach(async () => {
    ({ page, faults } = await openPage(context));
    page.setDefaultTimeout(patience(10_000));
    return () => page.close();
  });

  interface Scene {
    readonly token?: string;
    readonly role?: Role;
    readonly nodes?: readonly NodeView[];
    readonly clients?: readonly ClientDetail[];
    readonly at?: string;
    readonly prepare?: (backend: MemoryBackend) => unknown;
  }
  async function open({ token, role, nodes, clients, at: hash = '', prepare }: Scene = {}) {
    const two = [memoryNode('a', { connections: 30 }), memoryNode('b', { connections: 10 })];
    const three = [memoryClient('meter-1'), memoryClient('pump-7'), memoryClient(HOSTILE)];
    const backend = createMemoryBackend(nodes ?? two, clients ?? three);
    prepare?.(backend);
    const admin = await startAdmin({
      url: 'http://127.0.0.1:0',
      tokens: () => (token === undefined ? [] : [adminToken(token, role)]),
      backend,
      log: silentLog,
    });
    onTestFinished(() => admin.close());
    await page.goto(`${admin.url}/${hash}`);
    return { backend, admin };
  }
  const nodeRow = (id: string) => page.locator(`#nodes [data-key="${id}"]`);
  const order = () =>
    page.locator('#nodes [data-key]').evaluateAll((all) => all.map((row) => row.dataset.key));
  const seen = (selector: string, what: string | RegExp) =>
    page.locator(selector, { hasText: what }).first().waitFor();
  const press = (name: string, within = 'body') =>
    page.locator(within).getByRole('button', { name, exact: true }).click();

  test('what needs attention is first, with cause and since, and each node beside its fair share', async () => {
    const healthSince = new Date(Date.now() - 65_000).toISOString();
    const cause = { healthCause: 'tcp probe failed 3 times: ECONNREFUSED', healthSince };
    await open({
      nodes: [
        memoryNode('a', { connections: 30 }),
        memoryNode('c', { connections: 10 }),
        memoryNode('b', { health: 'unhealthy', ...cause }),
      ],
    });
    await seen('#ready', '1 problem');
    await seen('#problems li', /b is unhealthy.*tcp probe failed 3 times: ECONNREFUSED.*since .*\(1 min\)/);
    expect(await order()).toEqual(['b', 'a', 'c']);
    await seen('#nodes [data-key="b"]', /ECONNREFUSED\s*since .*\(1 min\)/);
    await seen('#nodes [data-key="a"]', '150 % of share');
    const marks = page.locator('.node-row .bar-mark').filter({ visible: true });
    expect(await marks.evaluateAll((all) => all.map((one) => one.style.left))).toEqual(['63.5%', '63.5%']);
    await seen('#proxies', 'edge-1');
    expect(await page.title()).toBe('(1) Breakwater');
    expect(faults).toEqual([]);
  });

  test('what a device chose as its client id is text, never markup', async () => {
    const { backend } = await open({ at: '#devices' });
    await seen('#clients a', SHOWN);
    await page.getByRole('link', { name: SHOWN }).click();
    await seen('#panel .big', SHOWN);
    await press('Close');
    await page.getByRole('link', { name: 'Overview' }).click();
    await seen('#live', /^live$/);
    backend.emit({ type: 'placed', at, clientId: HOSTILE, node: 'a' });
    await seen('#events strong', `${SHOWN} connected`);
    expect(await page.locator('img').count()).toBe(0);
    expect(await page.evaluate('window.hacked')).toBeUndefined();
    const refusal = page.evaluate("document.body.innerHTML = '<b>x</b>'"); // trusted types
    await expect(refusal).rejects.toThrow(/TrustedHTML/);
  });

  test('drain asks first, and shows how far it has come; enable takes it back', async () => {
    const progress = { moved: 20, left: 10, failed: 0, stays: 0, rate: 10, pace: 10, timeLeft: 1 };
    const { backend } = await open({
      prepare: (memory) =>
        Object.assign(memory, {
          drainProgress: async (node: string) => ({ ...progress, node, state: 'moving' as const }),
        }),
    });
    const state = () => backend.nodeTable.get('a')?.state;
    await nodeRow('a').getByRole('button', { name: 'Drain' }).click();
    await seen('#ask-text', '30 devices move to other nodes');
    await press('Cancel');
    expect(state()).toBe('enabled');
    await nodeRow('a').getByRole('button', { name: 'Drain' }).click();
    await press('Drain', '#ask');
    await seen('#nodes [data-key="a"]', '20 moved, 10 left, 1 s to go');
    expect(await nodeRow('a').locator('progress').getAttribute('value')).toBe('20');
    expect(await order()).toEqual(['a', 'b']);
    await nodeRow('a').getByRole('button', { name: 'Enable' }).click();
    await nodeRow('a').getByRole('button', { name: 'Drain' }).waitFor();
    expect(state()).toBe('enabled');
  });

  test('a node is changed, disabled and removed on its page; what the API refuses is told there', async () => {
    const { backend } = await open({ at: '#node/b' });
    await press('Weight and limit', '#panel');
    await page.getByLabel('Weight', { exact: true }).fill('55');
    await page.getByLabel('Most connections').fill('700');
    await press('Save', '#ask');
    await seen('#panel dd', '55');
    expect(backend.nodeTable.get('b')?.weight).toBe(55);
    await press('Disable', '#panel');
    await press('Disable', '#ask');
    await seen('#panel .big', 'disabled');
    backend.removeNode = async () => {
      throw new Error('the store is away');
    };
    await press('Remove', '#panel');
    await press('Remove', '#ask');
    await page.locator('#ask-fault').waitFor();
    await press('Cancel');
    await page.keyboard.press('Escape');
    expect(await page.locator('#panel').isVisible()).toBe(false);
  });

  test('nodes are added, sessions rebalanced, and the configuration is reloaded', async () => {
    const { backend } = await open();
    await press('Add node');
    await page.getByLabel('Address').fill('mqtt://c:1883');
    await page.getByLabel('Id', { exact: true }).fill('a');
    await press('Add', '#ask');
    await seen('#ask-fault', 'node "a" exists');
    await page.getByLabel('Id', { exact: true }).fill('c');
    await press('Add', '#ask');
    await nodeRow('c').waitFor();
    await press('Rebalance');
    await page.getByLabel('Sessions a second').fill('7');
    await press('Rebalance', '#ask');
    await expect.poll(() => backend.rebalanced.rate).toBe(7);
    const { check } = backend;
    const wrong = async () => ({ ...(await check()), valid: false, problems: ['line 3, column 1: nodez'] });
    backend.check = wrong;
    for (const button of ['Check', 'Reload']) {
      await press(button);
      await seen('#ask-lines', 'line 3, column 1: nodez');
      await press('Check again', '#ask');
      await seen('#ask-fault', 'nodez');
      await press('Cancel');
    }
    backend.check = check;
    await press('Check');
    await seen('#toast', 'the configuration is in order');
    await press('Reload');
    await seen('#ask-lines', 'It changes rules.');
    await press('Reload', '#ask');
    await seen('#toast', 'applied: rules');
  });

  test('devices are searched, by node too; one is moved and kicked on its page', async () => {
    const session = {
      ...{ subscriptions: 3, inflightFromDevice: 1, inflightToDevice: 2, rememberedBytes: 10, served: true },
      history: [{ at, cause: 'drain', from: 'b', to: 'a', duration: 0.4, sessionPresent: true }],
    };
    const pump = { ...memoryClient('pump-7', { mode: 'session' }), session };
    const { backend } = await open({
      ...{ at: '#devices', clients: [memoryClient('meter-1', { node: 'b' }), memoryClient('pump-8'), pump] },
    });
    await seen('#clients-count', '3 devices');
    await page.getByLabel('At node').selectOption('b');
    await seen('#clients-count', '1 device');
    await page.getByLabel('At node').selectOption('');
    await page.getByLabel('Client id contains').fill('pump-7');
    await seen('#clients-count', '1 device');
    await page.getByRole('link', { name: 'pump-7' }).click();
    await seen('#panel', /Subscriptions\s*3/);
    await seen('#panel li', 'b → a');
    await press('Move', '#panel');
    await press('Move', '#ask');
    await seen('#panel', 'at b');
    await press('Kick', '#panel');
    await press('Kick', '#ask');
    await seen('#clients-count', '0 devices');
    await page.locator('#no-devices').waitFor();
    expect(backend.clientTable.has('pump-7')).toBe(false);
  });

  test('a network is banned for a time, a device from its page; a ban is removed', async () => {
    const { backend } = await open({ clients: [memoryClient('pump-7')] });
    await page.locator('#no-bans').waitFor();
    await press('Ban', '#bans-actions');
    await page.getByLabel('By', { exact: true }).selectOption('source');
    await page.getByLabel('Which').fill('10.0.0.0/33');
    await press('Ban', '#ask');
    await seen('#ask-fault', 'CIDR');
    await page.getByLabel('Which').fill('198.51.100.0/24');
    await page.getByLabel('For seconds').fill('3600');
    await page.getByLabel('Reason').fill('<b>noise</b>');
    await press('Ban', '#ask');
    await seen('#bans li', /source 198\.51\.100\.0\/24.*for .* more.*<b>noise<\/b>/);
    await page.goto(`${page.url().split('#')[0]}#device/pump-7`);
    await press('Ban', '#panel');
    await page.getByLabel('Who is connected').selectOption('kick');
    await press('Ban', '#ask');
    await expect.poll(() => backend.bans()).toMatchObject([{ clientId: 'pump-7', kick: true }, {}]);
    await press('Close', '#panel');
    await seen('#bans li:nth-child(1)', 'client id pump-7');
    await press('Remove', '#bans li:nth-child(1)');
    await expect.poll(() => backend.bans()).toMatchObject([{ source: '198.51.100.0/24' }]);
    await seen('#bans li:nth-child(1)', 'source');
    await seen('#events li', 'pump-7 is banned no more');
  });

  test('events are kept by kind, alike ones as one line, and the filter holds over a reload', async () => {
    const { backend } = await open();
    await seen('#live', /^live$/);
    backend.emit({ type: 'node-health', at, node: 'b', health: 'healthy', cause: 'probe passed' });
    for (let i = 0; i < 500; i++) {
      const move = { from: 'b', to: 'a', cause: 'link-lost', result: 'ok' };
      backend.emit({ type: 'reattached', at, clientId: `m-${i}`, ...move });
    }
    await seen('#events li:nth-child(1)', '500 devices moved to a (500) from b: link-lost');
    await seen('#events li:nth-child(2)', 'b is healthy probe passed');
    await press('Nodes1', '#filters');
    await expect.poll(() => page.locator('#events li').count()).toBe(1);
    await page.reload();
    await seen('#live', /^live$/);
    await seen('#filters [aria-pressed=true]', 'Nodes');
    await expect.poll(() => page.locator('#events li').count()).toBe(1);
  });

  test('the token is asked for, asked again when wrong, kept in the tab, and sent with the event stream', async () => {
    const { backend } = await open({ token: 'T0KEN' });
    const field = page.getByLabel('Admin token', { exact: true }).and(page.locator('input'));
    await field.fill('wrong');
    await field.press('Enter');
    await seen('#token-fault', 'the token is wrong');
    await field.fill('T0KEN');
    await field.press('Enter');
    await seen('#ready', /^ready$/);
    await seen('#live', /^live$/);
    expect(backend.listeners.size).toBe(1);
    await page.reload();
    await seen('#ready', /^ready$/);
    expect(await page.locator('#ask-token').isVisible()).toBe(false);
    expect(await page.evaluate('[localStorage.length, document.cookie]')).toEqual([0, '']);
  });

  test('a lost proxy is told, and found again', async () => {
    const { backend, admin } = await open();
    await seen('#live', /^live$/);
    await admin.close();
    await seen('#ready', 'not reachable');
    await seen('#live', 'reconnecting');
    const again = await startAdmin({ url: admin.url, tokens: () => [], backend, log: silentLog });
    onTestFinished(() => again.close());
    await seen('#ready', /^ready$/);
    await seen('#live', /^live$/);
  });

  test.each([
    ['viewer', ['Its devices'], 0],
    ['operator', ['Drain', 'Disable', 'Weight and limit', 'Its devices'], 4],
  ] as const)('a %s is offered what the role allows, and nothing else', async (role, offered, buttons) => {
    await page.addInitScript("sessionStorage.setItem('breakwater-token', 'T0KEN')");
    await open({ token: 'T0KEN', role, at: '#node/a' });
    await seen('#panel', 'Its devices');
    expect(await page.locator('#panel .buttons-row button').allTextContents()).toEqual(offered);
    await press('Close');
    await seen('#proxy', `as ${role}`);
    // Of the head: to rebalance, to check the configuration; of each node: to drain it.
    expect(await page.locator('#nodes button, #cluster-actions button').count()).toBe(buttons);
  });

  test('what happened before the page was opened is there: incidents first, then events', async () => {
    const move = { from: 'b', to: 'a', result: 'ok', duration: 0.1 };
    const lost = { node: 'b', health: 'unhealthy', cause: 'tcp probe failed' };
    await open({
      prepare({ emit }) {
        emit({ type: 'node-health', at, ...lost });
        emit({ ...move, type: 'reattached', at, clientId: 'm', cause: 'link-lost' });
        emit({ type: 'admin', at, by: 'anna', method: 'PATCH', path: '/api/v1/nodes/b', status: 200 });
      },
    });
    await seen('#incidents li:nth-child(1)', /b lost: 1 session moved to a.*going on/);
    await seen('#events', 'b is unhealthy tcp probe failed');
    await seen('#events', 'm moved to a');
    await press('Changes1', '#filters');
    await seen('#events', 'anna: PATCH nodes/b');
    expect(await page.locator('#events li').count()).toBe(1);
  });

  test('what happens while the proxy cannot be reached is told behind it, once', async () => {
    const { backend, admin } = await open();
    await seen('#live', /^live$/);
    backend.emit({ type: 'node-removed', at, node: 'x' });
    await seen('#events', 'x was removed');
    await admin.close();
    await seen('#live', 'reconnecting');
    backend.emit({ type: 'node-removed', at, node: 'y' });
    const again = await startAdmin({ url: admin.url, tokens: () => [], backend, log: silentLog });
    onTestFinished(() => again.close());
    await seen('#events', 'y was removed');
    expect(await page.locator('#events li').count()).toBe(2);
  });

  test('of a device that has left it is told what happened to it', async () => {
    const life = { clientId: 'meter-17', connection: 4, node: 'b', remoteAddress: '192.0.2.9:1' };
    await open({
      at: '#devices',
      prepare({ emit }) {
        emit({ type: 'placed', at, ...life });
        emit({ ...life, type: 'reattached', at, from: 'b', to: 'a', cause: 'drain', duration: 0.4 });
        emit({ type: 'ended', at, ...life, node: 'a', reason: 'node-closed', duration: 9 });
      },
    });
    await page.getByLabel('Client id contains').fill('meter-17');
    await page.getByRole('link', { name: 'What is known of a device of this id' }).click();
    await seen('#panel', 'It is not connected.');
    const lines = page.locator('#panel .log li');
    await expect.poll(() => lines.count()).toBe(3);
    expect(await lines.locator('strong').allTextContents()).toEqual([
      ...['left a', 'b → a', 'connected to b'],
    ]);
  });

  test('the packets of a device are shown as they pass, where the API has them', async () => {
    await page.route('**/api/v1/openapi.json', async (route) => {
      const response = await route.fetch();
      const { paths } = await response.json();
      const operation = { get: { 'x-least-role': 'viewer' } };
      const json = { paths: { ...paths, '/api/v1/clients/{clientId}/trace': operation } };
      await route.fulfill({ response, json });
    });
    const frames = [
      [
        'packet',
        { at, direction: 'from-device', type: 'publish', size: 44, id: 7, qos: 1, topic: 'a/\u202e' },
      ],
      ['packet', { at, direction: 'to-device', type: 'puback', size: 4, id: 7 }],
      ['dropped', { count: 1200 }],
      ['end', { reason: 'the device has left' }],
    ].map(([event, data]) => `event: ${event}\ndata: ${JSON.stringify(data)}\n\n`);
    await page.route('**/clients/*/trace', (route) =>
      route.fulfill({ contentType: 'text/event-stream', body: frames.join('') }),
    );
    const session = {
      ...{ subscriptions: 0, inflightFromDevice: 0, inflightToDevice: 0, rememberedBytes: 0, served: true },
      history: [],
    };
    await open({ at: '#device/m', clients: [{ ...memoryClient('m', { mode: 'session' }), session }] });
    await press('Trace packets', '#panel');
    await seen('#panel .trace li:nth-child(2)', '→ node PUBLISH a/\\u202e · QoS 1 · id 7 · 44 B');
    await seen('#panel .trace li:nth-child(1)', '← node PUBACK id 7 · 4 B');
    await seen('#panel', 'The trace has ended: the device has left');
  });
});
