import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { closeSync, mkdirSync, openSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { beforeAll, describe, expect, test } from 'vitest';
import { startAedes } from '../support/aedes.ts';
import { adopt } from '../support/children.ts';
import { main, run } from '../support/cli.ts';
import { connectDevice, connectDevices, type Device, endDevices } from '../support/devices.ts';
import { freePort } from '../support/free-port.ts';
import { atEnd, temporaryDirectory } from '../support/process.ts';
import { patience, until } from '../support/wait.ts';

/** What becomes of a proxy whose log is not taken: no space, a reader that stopped, a reader or terminal that is gone. */

let brokerUrl = '';
beforeAll(async () => {
  const [broker] = await startAedes(1);
  brokerUrl = broker?.url ?? '';
});

/**
 * Each device has a line when it comes and one when it goes, with as much of its id as the log takes: of this character, which
 * turns the direction of text, it writes six for each.
 */
const LONG_ID = '\u200e'.repeat(2_000);

async function startOn(stdout: number | 'pipe', command: readonly string[] = []) {
  const directory = temporaryDirectory();
  const [port, adminPort] = [await freePort(), await freePort()];
  const file = join(directory, 'breakwater.yaml');
  const config = {
    listeners: [{ url: `mqtt://127.0.0.1:${port}` }],
    pools: { default: { nodes: [{ url: brokerUrl }] } },
    admin: { url: `http://127.0.0.1:${adminPort}` },
    limits: { shutdownGrace: 0 },
  };
  writeFileSync(file, JSON.stringify(config));
  const [program = '', ...args] = [...command, process.execPath, main, 'start', '-c', file];
  const child = adopt(spawn(program, args, { stdio: ['ignore', stdout, 'pipe'] }));
  const exited = once(child, 'exit').then(([code, signal]) => code ?? signal);
  atEnd(async () => {
    child.kill('SIGKILL');
    await exited;
  });
  const admin = `http://127.0.0.1:${adminPort}`;
  const isReady = () =>
    fetch(`${admin}/readyz`, { signal: AbortSignal.timeout(patience(1_000)) }).then(
      ({ ok }) => ok,
      () => false,
    );
  await until(isReady, 'the proxy to be ready');
  return { child, port, admin, exited };
}

type Running = Awaited<ReturnType<typeof startOn>>;

/** The device is answered, the admin API too; `lost` is what the metric says. */
async function look({ admin }: Running, device: Device): Promise<{ lost: number }> {
  const heard: number[] = [];
  const hear = (bytes: Buffer) => heard.push(...bytes);
  device.socket.on('data', hear).write(Buffer.from([0xc0, 0])); // PINGREQ
  await until(() => heard.length > 0, 'PINGRESP');
  device.socket.off('data', hear);
  expect(heard).toEqual([0xd0, 0]);
  expect((await fetch(`${admin}/api/v1/clients`)).status).toBe(200);
  return { lost: await lostLines(admin) };
}

async function lostLines(admin: string): Promise<number> {
  const metrics = await (await fetch(`${admin}/metrics`)).text();
  return Number(/^breakwater_log_lines_dropped_total (\d+)$/m.exec(metrics)?.[1]);
}

async function fill({ port }: Running, count: number, id = LONG_ID): Promise<void> {
  endDevices(
    await connectDevices(
      port,
      Array.from({ length: count }, (_, i) => `${i}${id}`),
    ),
  );
}

/** Until no line is kept any more: 4 MiB wait in the proxy, and 64 KiB in the pipe. */
async function overfill(running: Running): Promise<void> {
  for (let i = 0; i < 20 && (await lostLines(running.admin)) === 0; i++) await fill(running, 150);
}

async function stopsInOrder({ child, exited }: Running): Promise<void> {
  child.kill('SIGTERM');
  await until(() => child.exitCode !== null || child.signalCode !== null, 'the proxy to stop');
  expect(await exited).toBe(0);
}

test('/dev/full: devices are served, lost lines counted, and the proxy stops in order', async () => {
  const full = openSync('/dev/full', 'w');
  const running = await startOn(full);
  closeSync(full);
  const device = await connectDevice(running.port, 'bystander');
  await fill(running, 10);
  await until(async () => (await look(running, device)).lost >= 10, 'lost lines to be counted');
  const status = await run(['status', '--admin', running.admin]);
  expect(status.stdout).toMatch(/^! the log is not taken \(ENOSPC\): \d+ lines are lost/m);
  await stopsInOrder(running);
});

test('a pipe whose reader stops: nothing waits; it reads again and is told what it missed, and goes: the proxy stops in order', async () => {
  const running = await startOn('pipe');
  const log = running.child.stdout as NonNullable<ChildProcess['stdout']>;
  const device = await connectDevice(running.port, 'bystander'); // nobody has read anything yet
  await overfill(running);
  const { lost } = await look(running, device);
  expect(lost).toBeGreaterThan(0);

  let text = '';
  log.setEncoding('utf8').on('data', (chunk: string) => {
    text += chunk;
  });
  const isTold = (line: string) => line.endsWith('"msg":"log lines dropped"}');
  await until(() => text.includes('"msg":"log lines dropped"}\n'), 'the reader to be told');
  const lines = text.slice(0, text.lastIndexOf('\n')).split('\n');
  for (const line of lines) expect(() => JSON.parse(line)).not.toThrow();
  const told = lines.filter(isTold).map((line) => JSON.parse(line).dropped);
  const { lost: missed } = await look(running, device);
  expect(told.reduce((sum, dropped) => sum + dropped, 0)).toBe(missed);

  log.destroy();
  await fill(running, 3);
  await until(async () => (await look(running, device)).lost >= missed + 3, 'more lost lines to be counted');
  await stopsInOrder(running);
});

test('a pipe whose reader stops for good: the proxy stops all the same', async () => {
  const running = await startOn('pipe');
  await fill(running, 100); // more than a pipe holds
  await stopsInOrder(running);
});

/** Why no small file system can be made here; undefined where one can. */
function mountFault(): string | undefined {
  const directory = join(temporaryDirectory(), 'small');
  mkdirSync(directory);
  try {
    execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=64k', 'tmpfs', directory], { stdio: 'pipe' });
    execFileSync('umount', [directory]);
    return undefined;
  } catch (error) {
    return String(error).split('\n')[0];
  } finally {
    rmSync(directory, { recursive: true });
  }
}

describe.skipIf(mountFault() !== undefined)('a disk that fills', () => {
  test('loses lines, and is told how many when there is room again; every line is whole', async () => {
    const directory = join(temporaryDirectory(), 'small');
    mkdirSync(directory);
    execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=64k', 'tmpfs', directory]);
    atEnd(() => execFileSync('umount', ['-l', directory]));
    const path = join(directory, 'log');
    const ballast = join(directory, 'ballast');
    writeFileSync(ballast, Buffer.alloc(48 * 1024));
    const file = openSync(path, 'a');
    const running = await startOn(file);
    closeSync(file);
    const device = await connectDevice(running.port, 'bystander');
    const id = 'x'.repeat(2_000); // lines that are late do not fill it again
    await fill(running, 20, id);
    await until(async () => (await look(running, device)).lost > 0, 'lost lines to be counted');
    expect(statSync(path).size).toBeLessThanOrEqual(64 * 1024);

    rmSync(ballast);
    await fill(running, 1, id);
    const lines = () => readFileSync(path, 'utf8').trimEnd().split('\n');
    const told = () => lines().filter((line) => line.includes('"msg":"log lines dropped"'));
    await until(() => told().length > 0, 'the log to tell what it missed');
    expect(JSON.parse(told()[0] ?? '')).toMatchObject({ level: 'error', reason: 'ENOSPC' });
    expect(lines().filter((line) => !line.endsWith('}')).length).toBeLessThanOrEqual(1); // what was cut off
    await stopsInOrder(running);
  });
});
