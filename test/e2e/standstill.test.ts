import { execFileSync } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { open } from 'node:fs/promises';
import { type AddressInfo, createServer } from 'node:net';
import { join, resolve } from 'node:path';
import { describe, expect, test } from 'vitest';
import type { ClientDetail, MovesView, UpgradeView } from '../../src/admin/backend.ts';
import { type Breakwater, startBreakwater } from '../support/breakwater.ts';
import { clientIds, connectBytes, connectDevice, connectDevices, openSocket } from '../support/devices.ts';
import { freePort } from '../support/free-port.ts';
import { startMosquitto } from '../support/mosquitto.ts';
import { temporaryDirectory } from '../support/process.ts';
import { startInstalled } from '../support/upgrade.ts';
import { until } from '../support/wait.ts';

/** What people want of devices that stand still just then: their data thread has died, or they go over to another process. */

const GO_ON = 'devices of the dead data thread go on';
const isLinux = process.platform === 'linux';

async function startNodes(): Promise<{ id: string; url: string }[]> {
  const brokers = await Promise.all([startMosquitto(), startMosquitto()]);
  return brokers.map(({ url }, i) => ({ id: `n${i}`, url }));
}

const pathOf = (clientId: string) => `clients/${clientId}`;
const nodeOf = async ({ api }: Pick<Breakwater, 'api'>, clientId: string) =>
  (await api<ClientDetail>(pathOf(clientId)).catch(() => undefined))?.node;
const kick = ({ api }: Pick<Breakwater, 'api'>, clientId: string) =>
  api(pathOf(clientId), { method: 'DELETE' });
const move = ({ api }: Pick<Breakwater, 'api'>, clientId: string, node: string) =>
  api(`${pathOf(clientId)}/move`, { method: 'POST', body: { node } });

/** A proxy of one thread, whose devices can be made to stand still. */
async function startDying(config: object = {}) {
  const DIE_AT = join(temporaryDirectory(), 'die');
  const NODE_OPTIONS = `--import=${resolve('test/support/dying-thread.mjs')}`;
  const nodes = await startNodes();
  const all = { proxy: { id: 'edge-1', threads: 1 }, pools: { default: { nodes } }, ...config };
  const proxy = await startBreakwater(all, [], { NODE_OPTIONS, DIE_AT });
  const gate = `${DIE_AT}-gate`;
  const died = () => proxy.logs().filter(({ msg }) => msg === 'data thread died; starting it again').length;
  const wentOn = () => proxy.logs().filter(({ msg }) => msg === GO_ON);
  return {
    proxy,
    all,
    wentOn,
    /** Its thread dies, and the next one does not get ready before `goOn`. */
    async standStill(): Promise<void> {
      const before = died();
      writeFileSync(gate, '');
      writeFileSync(`${DIE_AT}-next`, 'loop');
      renameSync(`${DIE_AT}-next`, DIE_AT);
      await until(() => died() > before, 'its thread to die');
    },
    async goOn(): Promise<void> {
      const before = wentOn().length;
      rmSync(gate);
      await until(() => wentOn().length > before, 'the devices to go on');
    },
  };
}

describe.runIf(isLinux)('devices of a dead data thread', () => {
  test('are kicked and moved when they go on; who orders it is told to try again, and a ban holds for them', async () => {
    const { proxy, standStill, goOn } = await startDying();
    const devices = await connectDevices(proxy.port, clientIds(6));
    const ends: string[] = [];
    for (const { socket, clientId } of devices) socket.resume().once('close', () => ends.push(clientId));
    const [kicked = '', moved = '', banned = '', stays = ''] = clientIds(6);
    const from = await nodeOf(proxy, moved);
    const to = from === 'n0' ? 'n1' : 'n0';
    await standStill();
    await expect(kick(proxy, kicked)).rejects.toThrow(/503 .*THREAD_UNAVAILABLE/);
    await expect(move(proxy, moved, to)).rejects.toThrow(/503 .*THREAD_UNAVAILABLE/);
    await expect(proxy.api(pathOf(stays))).rejects.toThrow(/503 .*THREAD_UNAVAILABLE/);
    await proxy.api('bans', { method: 'POST', body: { clientId: banned, kick: true } });
    await goOn();
    await until(async () => (await nodeOf(proxy, moved)) === to, 'the one to be moved');
    await until(() => ends.length === 2, 'the others to be ended');
    expect([...ends].sort()).toEqual([kicked, banned].sort());
    await expect(kick(proxy, kicked)).rejects.toThrow(/404 .*CLIENT_UNKNOWN/);
    expect(await move(proxy, moved, to)).toMatchObject({ node: to });
  });

  test('leave a proxy whose drain has begun meanwhile, at its rate', async () => {
    const count = 40;
    const { proxy, standStill, goOn } = await startDying();
    await connectDevices(proxy.port, clientIds(count));
    await standStill();
    await proxy.api('proxies/edge-1/drain', { method: 'POST', body: { rate: 200, delay: 0 } });
    await goOn();
    const drained = await until(async () => {
      const view = await proxy.api<MovesView>('proxies/edge-1/drain');
      return view.state === 'done' && view;
    }, 'the drain to be over');
    expect([drained.moved, drained.left]).toEqual([count, 0]);
  });

  test('leave a proxy that is stopped meanwhile, over its grace', async () => {
    const { proxy, standStill, goOn } = await startDying({ limits: { shutdownGrace: 5 } });
    const ends: number[] = [];
    const devices = await connectDevices(proxy.port, clientIds(30));
    for (const { socket } of devices) socket.resume().once('close', () => ends.push(performance.now()));
    await standStill();
    proxy.kill('SIGTERM');
    await until(() => proxy.logs().some(({ msg }) => msg === 'stopping'), 'it to be stopped');
    await goOn();
    expect(await proxy.exited).toBe(0);
    await until(() => ends.length === 30, 'all to be gone');
    const before = ends.filter((at) => at < Math.max(...ends) - 500).length;
    expect(before).toBeGreaterThan(10); // they did not leave all at once
  });

  /** What moves sessions, when it has moved all that it could. */
  const over = ({ api }: Breakwater, path: string) =>
    until(async () => {
      const view = await api<MovesView>(path);
      return view.state !== 'moving' && view;
    }, `the end of ${path}`);

  test('leave a node whose drain has begun meanwhile', async () => {
    const { proxy, standStill, goOn } = await startDying();
    await connectDevices(proxy.port, clientIds(40));
    await standStill();
    await proxy.api('nodes/n0/drain', { method: 'POST', body: { rate: 1_000 } });
    await goOn();
    expect(await over(proxy, 'nodes/n0/drain')).toMatchObject({ state: 'done', moved: 20, left: 0 });
  });

  test('are moved by a rebalance that has begun meanwhile', async () => {
    const { proxy, standStill, goOn } = await startDying();
    await connectDevices(proxy.port, clientIds(40));
    await proxy.api('nodes/n0/drain', { method: 'POST', body: { rate: 1_000 } });
    await over(proxy, 'nodes/n0/drain');
    await proxy.api('nodes/n0', { method: 'PATCH', body: { state: 'enabled' } });
    await standStill();
    await proxy.api('rebalance', { method: 'POST', body: { rate: 1_000 } });
    await goOn();
    expect(await over(proxy, 'rebalance')).toMatchObject({ state: 'done' });
    const { clients } = await proxy.api<{ clients: ClientDetail[] }>('clients');
    expect(Math.abs(clients.filter(({ node }) => node === 'n0').length - 20)).toBeLessThanOrEqual(4);
  });

  test('end where their listener goes meanwhile, and see the settings that have changed', async () => {
    const [first, second] = [{ url: 'mqtt://127.0.0.1:0' }, { url: `mqtt://127.0.0.1:${await freePort()}` }];
    const { proxy, all, standStill, goOn } = await startDying({ listeners: [first, second] });
    const stays = await connectDevice(proxy.ports[0] as number, 'stays');
    const goes = await connectDevice(proxy.ports[1] as number, 'goes');
    const closed = once(goes.socket.resume(), 'close');
    await standStill();
    const rules = [{ when: { clientId: '^late-' }, reject: 'banned' }];
    proxy.rewrite({ ...all, listeners: [first], rules });
    const reloaded = proxy.api('reload', { method: 'POST' });
    await goOn();
    expect(await reloaded).toMatchObject({ listeners: { removed: [second.url] }, settings: ['rules'] });
    await closed;
    expect(await nodeOf(proxy, 'stays')).toBeDefined();
    expect(stays.socket.closed).toBe(false);
    expect((await connectDevice(proxy.ports[0] as number, 'late-1')).code).not.toBe(0);
  });
});

test.runIf(isLinux)(
  'whom an upgrade has given to the new process already is kicked and moved there, and SIGHUP is carried out there',
  async () => {
    let heard = 0;
    const silent = createServer((socket) => socket.on('error', () => {}).on('data', () => heard++));
    silent.listen(0, '127.0.0.1');
    await once(silent, 'listening');
    const hole = `mqtt://127.0.0.1:${(silent.address() as AddressInfo).port}`;
    const nodes = await startNodes();
    const config = {
      proxy: { id: 'edge-1', threads: 1 },
      pools: {
        default: { nodes },
        silent: { health: { probe: 'tcp' }, nodes: [{ id: 'silent', url: hole }] },
      },
      rules: [{ when: { clientId: '^busy' }, pool: 'silent' }],
    };
    const proxy = await startInstalled(config);
    const devices = await connectDevices(proxy.port, clientIds(4));
    const ends: string[] = [];
    for (const { socket, clientId } of devices) socket.resume().once('close', () => ends.push(clientId));
    const [kicked = '', moved = ''] = clientIds(4);
    const to = (await nodeOf(proxy, moved)) === 'n0' ? 'n1' : 'n0';
    // The upgrade waits for it: its node has not answered.
    const busy = openSocket(proxy.port);
    busy.write(connectBytes('busy'));
    await until(() => heard > 0, 'its CONNECT at the node');

    const upgraded = proxy.upgrade();
    const said = (id: string) => proxy.api(pathOf(id)).catch(String);
    for (const id of [kicked, moved])
      await until(async () => `${await said(id)}`.includes('UPGRADE_UNDER_WAY'), 'it to be given away');
    await expect(kick(proxy, kicked)).rejects.toThrow(/409 .*UPGRADE_UNDER_WAY/);
    await expect(move(proxy, moved, to)).rejects.toThrow(/409 .*UPGRADE_UNDER_WAY/);
    await expect(proxy.api('reload', { method: 'POST' })).rejects.toThrow('RELOAD_REFUSED');
    proxy.rewrite({
      ...config,
      rules: [...config.rules, { when: { clientId: '^late-' }, reject: 'banned' }],
    });
    process.kill(proxy.pid, 'SIGHUP');
    await until(() => proxy.logs().some(({ msg }) => msg.startsWith('SIGHUP:')), 'that to be heard');
    busy.destroy();
    const { to: next } = await upgraded;

    expect((await proxy.status()).proxy.pid).toBe(next.pid);
    await until(async () => (await nodeOf(proxy, moved)) === to, 'the one to be moved');
    await until(() => ends.length > 0, 'the other to be ended');
    expect(ends).toEqual([kicked]);
    await until(
      () => proxy.logs().some(({ msg }) => msg === 'reloaded'),
      'the configuration to be read again',
    );
    expect((await connectDevice(proxy.port, 'late-1')).code).not.toBe(0);
  },
);

test.runIf(isLinux)(
  'SIGHUP in an upgrade that fails is carried out by the process that goes on',
  async () => {
    const nodes = await startNodes();
    const config = { proxy: { threads: 1 }, pools: { default: { nodes } } };
    const proxy = await startInstalled(config);
    proxy.install('await new Promise((resolve) => setTimeout(resolve, 1_000));');
    const failed = expect(proxy.upgrade()).rejects.toThrow('the proxy goes on as it was');
    await until(() => proxy.logs().some(({ msg }) => msg.startsWith('upgrading')), 'the upgrade to begin');
    proxy.rewrite({ ...config, rules: [{ when: { clientId: '^late-' }, reject: 'banned' }] });
    process.kill(proxy.pid, 'SIGHUP');
    await failed;
    await until(
      () => proxy.logs().some(({ msg }) => msg === 'reloaded'),
      'the configuration to be read again',
    );
    expect(proxy.logs().filter(({ msg }) => msg.startsWith('not reloaded'))).toEqual([]);
    expect((await connectDevice(proxy.port, 'late-1')).code).not.toBe(0);
  },
);

test.runIf(isLinux)(
  'an upgrade waits for a reload that is under way, and the new process goes by it',
  async () => {
    const proxy = await startInstalled({ proxy: { threads: 1 } });
    const { file, port, api, logs } = proxy;
    // What the reload reads comes when the test writes it.
    execFileSync('mkfifo', [`${file}-pipe`]);
    renameSync(`${file}-pipe`, file);
    const reloaded = api('reload', { method: 'POST' });
    const pipe = await open(file, 'w');
    const upgrades = [1, 2].map(() => api<UpgradeView>('upgrade', { method: 'POST' }));
    await expect(Promise.race(upgrades)).rejects.toThrow('UPGRADE_UNDER_WAY'); // the other has begun
    const rules = [{ when: { clientId: '^late-' }, reject: 'banned' }];
    rmSync(file);
    proxy.rewrite({ proxy: { threads: 1 }, rules });
    await pipe.writeFile(readFileSync(file));
    await pipe.close();
    expect(await reloaded).toMatchObject({ settings: ['rules'] });
    const { to } = await Promise.any(upgrades);
    expect((await proxy.status()).proxy.pid).toBe(to.pid);
    const steps = logs().filter(({ msg }) => /^(reloaded|upgrading|upgraded)/.test(msg));
    expect(steps.map(({ msg }) => msg.split(':')[0])).toEqual(['reloaded', 'upgrading', 'upgraded']);
    expect((await connectDevice(port, 'late-1')).code).not.toBe(0);
  },
);
