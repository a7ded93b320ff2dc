import { once } from 'node:events';
import { generate } from 'mqtt-packet';
import { beforeAll, describe, expect, test } from 'vitest';
import { WebSocket } from 'ws';
import { type Breakwater, startBreakwater } from '../support/breakwater.ts';
import { createAuthority } from '../support/certificates.ts';
import { connectBytes } from '../support/devices.ts';
import { fastestEngine } from '../support/linux-engines.ts';
import { startMosquitto } from '../support/mosquitto.ts';
import { until } from '../support/wait.ts';
import { connectClient, openWebSocket, startWebSocket } from '../support/websockets.ts';

const authority = createAuthority('Test CA');
const { certFile: cert, keyFile: key } = authority.issue({ cn: 'proxy', names: 'IP:127.0.0.1' });

const refusedWith = async (port: number, path: string, options = {}, protocols: string[] = ['mqtt']) => {
  const socket = new WebSocket(`ws://127.0.0.1:${port}${path}`, protocols, options);
  const [error] = await once(socket, 'error');
  return String(error);
};

describe.each([fastestEngine, 'node'])('MQTT over WebSocket, %s engine', (engine) => {
  let proxy: Breakwater;
  beforeAll(async () => {
    const broker = await startMosquitto();
    proxy = await startBreakwater({
      proxy: { engine, threads: 1 },
      listeners: [
        { url: 'ws://127.0.0.1:0' },
        {
          url: 'ws://127.0.0.1:0/plant/*',
          mode: 'relay',
          websocket: { origins: ['https://App.example.com'] },
        },
        { url: 'wss://127.0.0.1:0', tls: { cert, key } },
        { url: 'wss://127.0.0.1:0', mode: 'relay', tls: { cert, key } },
      ],
      pools: { default: { nodes: [{ id: 'm', url: broker.url }] } },
      rules: [
        { when: { path: '^/plant/closed$' }, reject: 'banned' },
        { when: { host: '^localhost$' }, reject: 'not-authorized' },
      ],
    });
  });
  const modes = [
    { mode: 'session', port: () => proxy.ports[0] ?? 0, path: '/mqtt', secure: () => proxy.ports[2] ?? 0 },
    {
      mode: 'relay',
      port: () => proxy.ports[1] ?? 0,
      path: '/plant/a?x=1',
      secure: () => proxy.ports[3] ?? 0,
    },
  ] as const;

  for (const { mode, port, path, secure } of modes) {
    test.each([
      [4, 'plain'],
      [5, 'plain'],
      [5, 'TLS'],
    ] as const)(`${mode} mode carries messages of any size, MQTT level %i, %s`, async (level, kind) => {
      const options = { protocolVersion: level, clientId: `${mode}-${level}` };
      const client =
        kind === 'TLS'
          ? await connectClient(secure(), { ...options, ca: authority.cert })
          : await connectClient(port(), options, path);
      const got: number[] = [];
      client.on('message', (_topic, payload) => got.push(payload.length));
      await client.subscribeAsync(`sizes/${mode}/${level}`, { qos: 1 });
      const sizes = [0, 1, 100, 125, 126, 4000, 65_535, 65_536, 300_000];
      for (const size of sizes) {
        await client.publishAsync(`sizes/${mode}/${level}`, Buffer.alloc(size, 'x'), { qos: 1 });
      }
      await until(() => got.length === sizes.length, 'every message');
      expect(got).toEqual(sizes);
      await client.endAsync();
    });

    test(`${mode} mode reads frames that are cut, joined and interrupted by pings`, async () => {
      const { socket, hears, packets, closed } = await openWebSocket(port(), path);
      const pongs: string[] = [];
      socket.on('pong', (data) => pongs.push(`${data}`));
      const bytes = Buffer.concat([
        connectBytes(`cut-${mode}`),
        generate({ cmd: 'subscribe', messageId: 1, subscriptions: [{ topic: 'cut', qos: 0 }] }),
      ]);
      for (let at = 0; at < bytes.length; at++) {
        socket.send(bytes.subarray(at, at + 1), { fin: at % 3 === 2 || at === bytes.length - 1 });
        if (at % 7 === 0) socket.ping(`p${at}`);
      }
      await hears('suback');
      expect(packets).toEqual(['connack', 'suback']);
      await until(() => pongs.at(-1) === `p${bytes.length - 1 - ((bytes.length - 1) % 7)}`, 'the last pong');
      socket.close(4321);
      expect(await closed).toBe(4321);
    });

    test(`${mode} mode refuses text, and says so`, async () => {
      const { socket, closed } = await openWebSocket(port(), path);
      socket.send('hello');
      expect(await closed).toBe(1003);
      const served = await openWebSocket(port(), path);
      served.socket.send(connectBytes(`text-${mode}`));
      await served.hears('connack');
      served.socket.send('hello');
      expect(await served.closed).toBe(1003);
    });

    test(`${mode} mode tells the broker how the device left: by DISCONNECT, or so that its Will fires`, async () => {
      const watcher = await connectClient(port(), {}, path);
      const wills: string[] = [];
      watcher.on('message', (topic) => wills.push(topic));
      await watcher.subscribeAsync(`will/${mode}/#`, { qos: 1 });
      const leave = async (how: string, end: (socket: WebSocket) => void) => {
        const { socket, hears } = await openWebSocket(port(), path);
        const will = {
          topic: `will/${mode}/${how}`,
          payload: Buffer.from('x'),
          qos: 1,
          retain: false,
        } as const;
        const options = { protocolId: 'MQTT', protocolVersion: 4, clean: true, keepalive: 60 } as const;
        socket.send(generate({ cmd: 'connect', clientId: `${mode}-${how}`, will, ...options }));
        await hears('connack');
        end(socket);
      };
      await leave('said', (socket) => {
        socket.send(generate({ cmd: 'disconnect' }));
        socket.close();
      });
      await leave('closed', (socket) => socket.close());
      await leave('vanished', (socket) => socket.terminate());
      await until(() => wills.length === 2, 'two Wills');
      expect(wills.sort()).toEqual([`will/${mode}/closed`, `will/${mode}/vanished`]);
    });

    test(`${mode} mode closes when the broker does`, async () => {
      const { socket, closed, hears } = await openWebSocket(port(), path);
      socket.send(connectBytes(`twice-${mode}`));
      await hears('connack');
      socket.send(connectBytes(`twice-${mode}`)); // a protocol error [MQTT-3.1.0-2]
      expect(await closed).toBe(1000);
    });
  }

  test('a device is listed with its listener, and kicked with a close code', async () => {
    const { socket, closed, hears } = await openWebSocket(proxy.ports[0] ?? 0);
    socket.send(connectBytes('listed'));
    await hears('connack');
    const url = `ws://127.0.0.1:${proxy.ports[0]}/mqtt`;
    expect(await proxy.api('clients/listed')).toMatchObject({ listener: url, mode: 'session' });
    await proxy.api('clients/listed', { method: 'DELETE' });
    expect(await closed).toBe(1000);
  });

  test('what is no upgrade for MQTT is refused with its status', async () => {
    const [first = 0, second = 0] = proxy.ports;
    expect(await refusedWith(first, '/other')).toContain('404');
    expect(await refusedWith(first, '/mqtt', {}, ['chat'])).toContain('400');
    expect(await refusedWith(first, '/mqtt', { protocolVersion: 8 })).toContain('426');
    expect(await refusedWith(second, '/plant/a', { origin: 'https://evil.example.com' })).toContain('403');
    const page = await fetch(`http://127.0.0.1:${first}/mqtt`);
    expect([page.status, await page.text()]).toEqual([426, 'This is MQTT over WebSocket.\n']);
    expect((await fetch(`http://127.0.0.1:${first}/mqtt`, { method: 'POST', body: 'x' })).status).toBe(405);
    const welcome = startWebSocket(second, '/plant/a', { origin: 'https://app.example.com' });
    await once(welcome, 'open');
    const metrics = await (await fetch(`${proxy.adminUrl}/metrics`)).text();
    expect(metrics).toMatch(/connect_rejected_total\{reason="websocket-refused"\} [5-9]/);
  });

  test('rules know path and host', async () => {
    const [first = 0, second = 0] = proxy.ports;
    await expect(connectClient(second, { clientId: 'p' }, '/plant/closed')).rejects.toThrow(/Not authorized/);
    const wsOptions = { headers: { host: 'localhost:80' } };
    await expect(connectClient(first, { clientId: 'h', wsOptions })).rejects.toThrow(/Not authorized/);
  });
});
