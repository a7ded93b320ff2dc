import { once } from 'node:events';
import { type AddressInfo, createServer } from 'node:net';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { NodeView, PoolView, ReloadView, StatusView } from '../../src/admin/backend.ts';
import { startAedes } from '../support/aedes.ts';
import { type Breakwater, startBreakwater } from '../support/breakwater.ts';
import { clientIds, connectDevice, connectDevices, type Device } from '../support/devices.ts';
import { freePort } from '../support/free-port.ts';
import { fastestEngine } from '../support/linux-engines.ts';
import { startMosquitto } from '../support/mosquitto.ts';
import { until } from '../support/wait.ts';

const nothing = { added: [], removed: [], changed: [] };
const unchanged = { listeners: nothing, pools: nothing, settings: [], certificates: [] };
const first = { url: 'mqtt://127.0.0.1:0' };

describe.each([fastestEngine, 'node'] as const)('%s engine: a reload', (engine) => {
  let brokers: Awaited<ReturnType<typeof startAedes>>;
  let proxy: Breakwater;
  let devices: Device[];
  const ends: string[] = [];

  const nodeAt = (index: number) => ({ id: `n${index}`, url: brokers[index]?.url ?? '' });
  const base = () => ({
    proxy: { engine, threads: engine !== 'node' ? 2 : 1 },
    listeners: [first] as object[],
    pools: { default: { nodes: [nodeAt(0)] } } as Record<string, object>,
  });
  function reload(changes: object = {}): Promise<ReloadView> {
    proxy.rewrite({ ...base(), ...changes });
    return proxy.api<ReloadView>('reload', { method: 'POST' });
  }
  const status = () => proxy.api<StatusView>('status');
  const clientsAt = async (listener: string) => {
    const { clients } = await proxy.api<{ clients: { clientId: string; listener: string }[] }>('clients');
    return clients
      .filter((client) => client.listener === listener)
      .map(({ clientId }) => clientId)
      .sort();
  };
  const nodeOf = async (clientId: string) => (await proxy.api<{ node: string }>(`clients/${clientId}`)).node;

  beforeAll(async () => {
    brokers = await startAedes(2);
    proxy = await startBreakwater(base());
    devices = await connectDevices(proxy.port, clientIds(30, 'stays'));
    for (const { socket, clientId } of devices) socket.once('close', () => ends.push(clientId));
  });
  afterAll(() => expect(ends, 'whose listener remained').toEqual([]));

  test('without a difference changes nothing, by SIGHUP too', async () => {
    expect(await reload()).toEqual(unchanged);
    process.kill(proxy.pid, 'SIGHUP');
    await until(
      () => proxy.logs().filter(({ msg }) => msg === 'reloaded: nothing has changed').length === 2,
      'the second',
    );
  });

  test('changes pools, their nodes and rules for whoever connects from now on', async () => {
    const pools = {
      default: { strategy: 'client-id-hash', nodes: [nodeAt(0)] },
      other: { nodes: [nodeAt(1)] },
    };
    const rules = [{ when: { clientId: '^other-' }, pool: 'other' }];
    expect(await reload({ pools, rules })).toEqual({
      ...unchanged,
      pools: { added: ['other'], removed: [], changed: ['default'] },
      settings: ['rules'],
    });
    await connectDevice(proxy.port, 'other-1');
    expect(await nodeOf('other-1')).toBe('n1');
    expect(await nodeOf('stays-0')).toBe('n0');
    expect((await proxy.api<PoolView[]>('pools')).map(({ name, strategy }) => [name, strategy])).toEqual([
      ['default', 'client-id-hash'],
      ['other', 'least-connections'],
    ]);
    await proxy.api('nodes', {
      method: 'POST',
      body: { url: 'mqtt://127.0.0.1:9', id: 'n2', pool: 'other' },
    });

    // the pool goes, and with it its nodes; its device stays where it is
    expect(await reload()).toMatchObject({ pools: { removed: ['other'] }, settings: ['rules'] });
    expect((await proxy.api<NodeView[]>('nodes')).map(({ id }) => id)).toEqual(['n0']);
    await connectDevice(proxy.port, 'other-2');
    expect(await nodeOf('other-2')).toBe('n0');
    expect((await status()).connections).toBe(32);
  });

  test('moves what a removed node had to the nodes that are left', async () => {
    const left = { default: { nodes: [nodeAt(1)] } };
    expect(await reload({ pools: left })).toMatchObject({ pools: { changed: ['default'] } });
    await until(async () => (await nodeOf('stays-0')) === 'n1', 'its session at the other node');
    await reload();
    await until(async () => (await nodeOf('stays-0')) === 'n0', 'its session back');
  });

  test('opens and closes listeners, and ends in order the devices of those that are gone', async () => {
    const second = { url: `mqtt://[::1]:${await freePort()}`, pool: 'five' };
    const { url } = await startMosquitto(); // speaks MQTT 5
    const pools = { ...base().pools, five: { nodes: [{ url }] } };
    const view = await reload({ listeners: [first, second], pools });
    expect(view.listeners).toEqual({ ...nothing, added: [second.url] });
    expect((await status()).proxy.listeners).toEqual([proxy.url, second.url]);
    const port = Number(new URL(second.url).port);
    const visitor = await connectDevice(port, 'visitor', { protocolVersion: 5, host: '::1' });
    const [told, closed] = [once(visitor.socket, 'data'), once(visitor.socket, 'close')];

    expect(await reload({ listeners: [{ ...first, mode: 'relay' }] })).toMatchObject({
      listeners: { added: [], removed: [second.url], changed: [first.url] },
    });
    const [packet] = (await told) as [Buffer];
    expect([packet[0], packet[2]]).toEqual([0xe0, 0x98]); // DISCONNECT, Administrative action [MQTT 5.0, 3.14.2.1]
    await closed;
    await expect(connectDevice(port, 'too-late', { host: '::1' })).rejects.toThrow('ECONNREFUSED');
    await until(
      () =>
        proxy.logs().some(({ reason, listener }) => reason === 'listener-removed' && listener === second.url),
      'the log line of its end',
    );
    await connectDevice(proxy.port, 'relayed');
    expect(await proxy.api('clients/relayed')).toMatchObject({ mode: 'relay' });
    await reload();
  });

  test('binds an address anew that another listener had, and has one listener in place of another', async () => {
    const port = await freePort();
    await reload({ listeners: [first, { url: `mqtt://127.0.0.1:${port}` }] });
    await connectDevice(port, 'before');
    const wide = { url: `mqtt://[::]:${port}` };
    expect(await reload({ listeners: [first, wide] })).toMatchObject({ listeners: { added: [wide.url] } });
    await connectDevice(port, 'after');
    expect(await proxy.api('clients/after')).toMatchObject({ listener: wide.url });
    await reload();
  });

  test('that finds an address taken says so and changes nothing', async () => {
    const thief = createServer();
    await once(thief.listen(0, '127.0.0.1'), 'listening');
    const taken = `127.0.0.1:${(thief.address() as AddressInfo).port}`;
    const free = await freePort();
    const listeners = [{ url: `mqtt://127.0.0.1:${free}` }, { url: `mqtt://${taken}` }];
    const rules = [{ when: { clientId: '.*' }, reject: 'banned' }];
    await expect(reload({ listeners, rules })).rejects.toThrow(
      new RegExp(
        `"ADDRESS_IN_USE","message":"line 1, column \\d+: listeners\\[\\d\\]\\.url: ${taken} is in use`,
      ),
    );
    thief.close();
    await expect(connectDevice(free, 'nobody')).rejects.toThrow('ECONNREFUSED');
    expect((await connectDevice(proxy.port, 'as-before')).code).toBe(0);
    expect((await status()).proxy.listeners).toEqual([proxy.url]);
  });

  test('that is refused gives back a listener that stood in the way, with the devices that it had', async () => {
    const url = `mqtt://127.0.0.1:${await freePort()}`;
    const port = Number(new URL(url).port);
    await reload({ listeners: [first, { url }] });
    const before = await connectDevices(port, ['kicked', 'moved', 'ended']);
    const closed = before.map(
      ({ socket }) => new Promise((resolve) => socket.resume().once('close', resolve)),
    );
    const taken = { url: `http://127.0.0.1:${new URL(brokers[0]?.url ?? '').port}`, pool: 'web' };
    const swapped = [{ url: url.replace('mqtt', 'ws') }, first, taken];
    const pools = { ...base().pools, web: {} };
    await expect(reload({ listeners: swapped, pools })).rejects.toThrow('ADDRESS_IN_USE');

    await connectDevice(port, 'after');
    expect(await clientsAt(url)).toEqual(['after', 'ended', 'kicked', 'moved']);
    await proxy.api('clients/kicked', { method: 'DELETE' });
    await closed[0];
    await reload({ listeners: [first, { url }], pools: { default: { nodes: [nodeAt(1)] } } });
    await until(async () => (await nodeOf('moved')) === 'n1', 'its session at the other node');
    await reload();
    await Promise.all(closed);
    await until(async () => (await clientsAt(url)).length === 0, 'the last one to be gone');
    await until(async () => (await nodeOf('stays-0')) === 'n0', 'all sessions back');
  });

  test('mixes listeners of HTTP with the others in any order', async () => {
    const [mqtt, web, more] = [await freePort(), await freePort(), await freePort()];
    const listeners = [
      [first, { url: `http://127.0.0.1:${web}`, pool: 'web' }, { url: `mqtt://127.0.0.1:${mqtt}` }],
      [{ url: `http://127.0.0.1:${more}`, pool: 'web' }, { url: `mqtt://127.0.0.1:${mqtt}` }, first],
      [{ url: `ws://127.0.0.1:${web}` }, { url: `http://127.0.0.1:${more}`, pool: 'web' }, first],
      [{ url: `http://127.0.0.1:${mqtt}`, pool: 'web' }, first],
    ];
    const pools = { ...base().pools, web: {} };
    for (const some of listeners) {
      await reload({ listeners: some, pools });
      const reached = some.filter(({ url }) => url.startsWith('mqtt') && url !== first.url);
      for (const { url } of reached)
        expect((await connectDevice(Number(new URL(url).port), `mixed-${url}`)).code).toBe(0);
      const mixed = () => proxy.api<{ total: number }>('clients?match=mixed');
      await until(async () => (await mixed()).total === reached.length, 'those who may stay, and no others');
      await proxy.api('rebalance', { method: 'POST', body: {} });
    }
    await reload();
    const deaths = proxy.logs().filter(({ msg }) => msg.includes('died') || msg.endsWith('failed'));
    expect(deaths).toEqual([]);
  });

  test('of a bad file changes nothing, and says everything that is wrong, to the log too', async () => {
    const bad = { listeners: [{ ...first, mode: 'fast' }], limits: { maxConnections: 0 } };
    await expect(reload(bad)).rejects.toThrow(
      /400 .*"CONFIG_INVALID".*"problems":\[{"path":"listeners\[0\].mode".*"path":"limits.maxConnections"/,
    );
    const wrong = () => proxy.logs().filter(({ msg }) => msg === 'configuration is wrong');
    await until(() => wrong().length === 2, 'the log lines');
    expect(wrong()).toMatchObject([{ code: 'CONFIG_INVALID' }, { code: 'CONFIG_INVALID' }]);
    expect((await connectDevice(proxy.port, 'as-before-2')).code).toBe(0);
  });

  test('of a file that has lost its content changes nothing', async () => {
    proxy.rewriteText('# nothing left\n');
    await expect(proxy.api('reload', { method: 'POST' })).rejects.toThrow(
      /400 .*"CONFIG_INVALID".* is empty/,
    );
    await reload();
    expect((await status()).proxy.listeners).toEqual([proxy.url]);
  });

  test('has as many listeners as may be, one or all of which change', async () => {
    const ports = await Promise.all(Array.from({ length: 127 }, freePort));
    const some = (from: number) =>
      ports.slice(from, from + 63).map((port) => ({ url: `mqtt://127.0.0.1:${port}` }));
    await reload({ listeners: [first, ...some(0)] });
    const { socket } = await connectDevice(ports[30] ?? 0, 'in-the-middle');
    const changed = [first, ...some(0).slice(1), ...some(100).slice(0, 1)];
    expect((await reload({ listeners: changed })).listeners.added).toHaveLength(1);
    expect((await reload({ listeners: [first, ...some(64)] })).listeners.added).toHaveLength(62);
    await until(() => socket.destroyed, 'the end of a device whose listener is gone');
    await reload();
  });

  test('refuses what holds until the next start, by name', async () => {
    const other = { cluster: 'elsewhere', limits: { highWater: 8192 }, rules: [] };
    await expect(reload(other)).rejects.toThrow(
      /409 .*"RELOAD_NEEDS_RESTART","message":"cluster, limits.highWater cannot change/,
    );
    expect((await status()).cluster).toBe('default');
  });

  test('changes limits, the log level and the token', async () => {
    const token = 'a-new-token';
    const view = await reload({
      limits: { maxConnections: 1 }, // fewer than there are
      log: { level: 'warn' },
      admin: { url: 'http://127.0.0.1:0', token },
    });
    expect(view.settings).toEqual(['admin.token', 'limits', 'log.level']);
    expect((await connectDevice(proxy.port, 'one-more')).code).toBe(3);
    await expect(status()).rejects.toThrow('UNAUTHORIZED');
    const lines = proxy.logs().length;
    proxy.rewrite(base());
    const answer = await fetch(`${proxy.adminUrl}/api/v1/reload`, {
      method: 'POST',
      headers: { authorization: `Bearer ${token}` },
    });
    expect(answer.status).toBe(200);
    expect((await connectDevice(proxy.port, 'one-more')).code).toBe(0);
    await until(() => proxy.logs().length > lines, 'info lines again');
  });

  test('twenty times in a row under devices drops none', async () => {
    for (let round = 0; round < 20; round++) {
      const strategy = round % 2 === 0 ? 'least-connections' : 'client-id-hash';
      const second = { url: `mqtt://127.0.0.1:${await freePort()}` };
      await reload({
        listeners: round % 3 === 0 ? [first, second] : [first],
        pools: { default: { strategy, nodes: [nodeAt(0), nodeAt(1)] } },
        rules: Array.from({ length: round }, (_, i) => ({ when: { clientId: `^${i}-` }, pool: 'default' })),
      });
    }
    const answers = devices.map(({ socket }) => once(socket, 'data'));
    for (const { socket } of devices) socket.write(Buffer.of(0xc0, 0)); // PINGREQ
    for (const [answer] of await Promise.all(answers)) expect([...answer]).toEqual([0xd0, 0]); // PINGRESP
    expect(ends).toEqual([]);
    expect((await status()).proxy.listeners).toHaveLength(1);
  });
});
