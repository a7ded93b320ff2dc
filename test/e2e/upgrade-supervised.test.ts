import { execFileSync } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { once } from 'node:events';
import { readdirSync, readFileSync } from 'node:fs';
import { connect as connectTls } from 'node:tls';
import { describe, expect, test } from 'vitest';
import { createAuthority } from '../support/certificates.ts';
import { connectBytes } from '../support/devices.ts';
import { startMosquitto } from '../support/mosquitto.ts';
import { startNotifyReceiver } from '../support/notify-receiver.ts';
import { startTraffic } from '../support/traffic.ts';
import { type Installed, startInstalled } from '../support/upgrade.ts';
import { until } from '../support/wait.ts';

/** Upgrades of a proxy that somebody looks after: it is the first process of a container, or the main process of a service. */

/** A namespace of processes, as a container has one; the first in it is what it runs. */
const CONTAINER = ['unshare', '--fork', '--pid', '--mount-proc', '--kill-child'];
const SHUTDOWN_GRACE = 2;

/** Why there can be no namespace of processes here; undefined where there can. */
function containerFault(): string | undefined {
  try {
    const [command = '', ...args] = CONTAINER;
    execFileSync(command, [...args, 'true'], { stdio: 'pipe' });
    return undefined;
  } catch (error) {
    return `unshare makes no namespace of processes here: ${String(error).split('\n')[0]}`;
  }
}

interface Process {
  readonly pid: number;
  readonly parent: number;
}

function allProcesses(): Process[] {
  return readdirSync('/proc').flatMap((name) => {
    const process = Number(name) > 0 ? look(Number(name)) : undefined;
    return process ?? [];
  });
}

function look(pid: number): Process | undefined {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'latin1');
    const [, parent] = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
    return { pid, parent: Number(parent) };
  } catch {
    return undefined; // it has ended meanwhile
  }
}

/** A device whose TLS records are OpenSSL's, so that it stays with the process that it has come to. What it is told comes in `said`. */
async function connectStaying(port: number, clientId: string) {
  const socket = connectTls({ port, host: '127.0.0.1', rejectUnauthorized: false }).on('error', () => {});
  await once(socket, 'secureConnect');
  let said = Buffer.alloc(0);
  socket.on('data', (bytes: Buffer) => {
    said = Buffer.concat([said, bytes]);
  });
  socket.write(connectBytes(clientId, { protocolVersion: 5 }));
  await until(() => said.length > 0, 'CONNACK');
  return { socket, closed: once(socket, 'close'), said: () => said };
}

async function startProxy(options: Parameters<typeof startInstalled>[1]) {
  const own = createAuthority('devices').issue({ cn: 'edge.test', names: 'IP:127.0.0.1' });
  const broker = await startMosquitto();
  const tls = { cert: own.certFile, key: own.keyFile, records: 'openssl' };
  const listeners = [
    { url: 'mqtt://127.0.0.1:0', mode: 'relay' },
    { url: 'mqtt://127.0.0.1:0' },
    { url: 'mqtts://127.0.0.1:0', tls },
  ];
  const config = {
    ...{ proxy: { threads: 1 }, listeners, limits: { shutdownGrace: SHUTDOWN_GRACE } },
    pools: { default: { nodes: [{ id: 'n0', url: broker.url }] } },
  };
  const proxy = await startInstalled(config, options);
  const [relay, session, stays = 0] = proxy.ports;
  const urls = [relay, session].map((port) => `mqtt://127.0.0.1:${port}`);
  const traffic = await startTraffic(urls, 4, { pauseMs: 50, keepalive: 5 });
  return { proxy, traffic, stays };
}

/** Everybody has noticed nothing; then they leave. */
async function expectUnnoticed(traffic: Awaited<ReturnType<typeof startTraffic>>): Promise<void> {
  const wanted = traffic.sent() + 10 * traffic.clients.length;
  await until(() => traffic.sent() >= wanted, 'the traffic to go on');
  await traffic.stop();
  expect(traffic.ends).toEqual([]);
  expect(traffic.lost()).toEqual([]);
  expect(traffic.twice()).toEqual([]);
  for (const client of traffic.clients) client.removeAllListeners('close').end(true);
}

/** The one by OpenSSL, of an older process, is let go with a word, which nobody says to it who is killed. */
const SHUTTING_DOWN = [0xe0, 1, 0x8b];
const lastWords = (said: Buffer): number[] => [...said.subarray(-SHUTTING_DOWN.length)];

describe.runIf(process.platform === 'linux')('upgrades', () => {
  test('of the first process of a container: it stays, reaps the others, and ends in order when it is asked to', async ({
    skip,
  }) => {
    const fault = containerFault();
    if (fault !== undefined) skip(fault);
    const { proxy, traffic, stays } = await startProxy({ wrap: CONTAINER });
    const [first] = allProcesses().filter(({ parent }) => parent === proxy.pid);
    const init = first?.pid ?? 0;
    expect((await proxy.upgrade()).from.pid).toBe(1);
    const device = await connectStaying(stays, 'stays');
    expect((await proxy.upgrade()).to.generation).toBe(3);
    expect(device.socket.closed).toBe(false);
    // A stranger to the first process, as the third one would be as soon as the second has ended.
    execFileSync('nsenter', ['--target', `${init}`, '--pid', 'sh', '-c', 'sleep 0.1 & echo']);
    const children = () => allProcesses().filter(({ parent }) => parent === init);
    await until(() => children().length === 1, 'it to be reaped');
    await expectUnnoticed(traffic);

    process.kill(init, 'SIGTERM');
    expect(await proxy.exited).toBe(0);
    await device.closed;
    expect(lastWords(device.said())).toEqual(SHUTTING_DOWN);
  });

  test('of the main process of a service: its manager is told of each, and may wait for its end', async () => {
    const address = `@breakwater-${randomUUID()}`;
    const manager = startNotifyReceiver(address);
    const { proxy, traffic, stays } = await startProxy({
      env: { NOTIFY_SOCKET: address, WATCHDOG_USEC: '400000' },
    });
    let device: Awaited<ReturnType<typeof connectStaying>> | undefined;
    const mains = [proxy.pid];
    let from = 0;
    /** The next notice that has this line. */
    const told = (line: RegExp): Promise<string> =>
      until(() => {
        const at = manager.messages().findIndex((message, i) => i >= from && line.test(message));
        if (at < 0) return false;
        from = at + 1;
        return manager.messages()[at];
      }, `${line}`) as Promise<string>;
    await told(/^READY=1/);
    for (let upgrade = 0; upgrade < 2; upgrade++) {
      const { to } = await proxy.upgrade();
      const announced = Number(/^MAINPID=(\d+)$/.exec(await told(/^MAINPID=/))?.[1]);
      expect(announced).toBe(to.pid);
      // systemd waits only for the end of its own children, and kills another main process right behind SIGTERM.
      expect(look(announced)?.parent).not.toBe(mains.at(-1));
      await told(/^WATCHDOG=1$/);
      device ??= await connectStaying(stays, 'stays');
      mains.push(announced);
    }
    expect(manager.messages().filter((message) => message.startsWith('READY=1'))).toHaveLength(3);
    expect(device?.socket.closed).toBe(false);
    process.kill(mains[1] as number, 'SIGHUP'); // the device's process is not the proxy any more
    const logged = (pattern: RegExp) => proxy.logs().some(({ msg }) => pattern.test(msg));
    await until(() => logged(/^reloaded: nothing has changed$/), 'the proxy to read its configuration again');
    expect(logged(/^not reloaded/)).toBe(false);
    await expectUnnoticed(traffic);
    await endMain(proxy, manager);
    await told(/^STOPPING=1/);
    await device?.closed;
    expect(lastWords(device?.said() ?? Buffer.alloc(0))).toEqual(SHUTTING_DOWN);
  });
});

/**
 * As the manager does it: SIGTERM to the main process, whose end it waits for; what is left then is killed. It reads what it is told
 * meanwhile: few notices have room in its socket.
 */
async function endMain(proxy: Installed, manager: { messages(): unknown }): Promise<void> {
  const { pid } = (await proxy.status()).proxy;
  manager.messages();
  process.kill(pid, 'SIGTERM');
  await until(() => manager.messages() && look(pid) === undefined, 'the main process to end');
  for (const left of proxy.processes()) process.kill(left, 'SIGKILL');
}
