import { randomUUID } from 'node:crypto';
import { writeFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { hrtime } from 'node:process';
import { generate } from 'mqtt-packet';
import { beforeAll, describe, expect, test } from 'vitest';
import { createNotifySocket } from '../../src/engine/notify-socket.ts';
import { startAedes } from '../support/aedes.ts';
import { type Breakwater, startBreakwater } from '../support/breakwater.ts';
import { connectDevice } from '../support/devices.ts';
import { startNotifyReceiver } from '../support/notify-receiver.ts';
import { temporaryDirectory } from '../support/process.ts';
import { until } from '../support/wait.ts';

/** What systemd is told by a proxy that it started with `Type=notify`. */

const linux = process.platform === 'linux';
const addresses = () => [join(temporaryDirectory(), 'notify'), `@breakwater-${randomUUID()}`];

describe.runIf(linux)('a proxy that a service manager started', () => {
  const address = `@breakwater-${randomUUID()}`;
  const STICK_UNTIL = join(temporaryDirectory(), 'go-on');
  let manager: ReturnType<typeof startNotifyReceiver>;
  let proxy: Breakwater;

  beforeAll(async () => {
    const [node] = await startAedes(1);
    manager = startNotifyReceiver(address);
    proxy = await startBreakwater(
      // What holds the thread is put into send(2), which uring does not call.
      { proxy: { threads: 1, engine: 'epoll' }, pools: { default: { nodes: [{ url: node?.url }] } } },
      [],
      {
        ...{ NOTIFY_SOCKET: address, WATCHDOG_USEC: '100000', STICK_UNTIL },
        NODE_OPTIONS: `--import=${resolve('test/support/stuck-thread.mjs')}`,
      },
    );
  });

  const SIGN = 'WATCHDOG=1';
  const signs = () => manager.messages().filter((message) => message === SIGN).length;
  const others = () => manager.messages().filter((message) => message !== SIGN);
  const told = (part: string) => others().find((message) => message.includes(part));

  test('says when it is ready, and when it reloads, with a line for people', async () => {
    expect(await until(() => told('READY=1'), 'READY=1')).toMatch(
      /^READY=1\nSTATUS=0 devices; . of 1 nodes healthy$/,
    );

    const beforeMicros = hrtime.bigint() / 1000n;
    proxy.kill('SIGHUP');
    const reloading = await until(() => told('RELOADING=1'), 'RELOADING=1');
    const [, micros = ''] = /^RELOADING=1\nMONOTONIC_USEC=(\d+)$/.exec(reloading) ?? [];
    expect(BigInt(micros)).toBeGreaterThan(beforeMicros);
    expect(BigInt(micros)).toBeLessThan(hrtime.bigint() / 1000n);
    const reloads = () => others().filter((message) => message === 'READY=1').length;
    await until(() => reloads() === 1, 'the end of the reload');

    proxy.rewriteText('no: such: file');
    proxy.kill('SIGHUP');
    await until(() => reloads() === 2, 'the end of the reload that is refused');
  });

  test('gives its sign of life while all threads do, and only then', async () => {
    await until(() => signs() > 2, 'signs of life');

    const { socket } = await connectDevice(proxy.port, 'meter-1');
    socket.write(
      generate({ cmd: 'publish', topic: 'stick', payload: '', qos: 0, dup: false, retain: false }),
    );
    const logged = (msg: string) => proxy.logs().some((line) => line.msg === msg);
    await until(() => logged('a data thread does not answer'), 'the watchdog to see it');
    const atThen = signs();
    await until(async () => (await proxy.api<{ ready: boolean }>('status')).ready === false, 'an answer');
    expect(signs()).toBeLessThanOrEqual(atThen + 1); // one was on the way

    writeFileSync(STICK_UNTIL, '');
    await until(() => signs() > atThen + 2, 'signs of life again');
    socket.destroy();
    await until(
      async () => (await proxy.api<{ total: number }>('clients')).total === 0,
      'its device to leave',
    );
  });

  // The last one.
  test('says when it stops', async () => {
    const device = await connectDevice(proxy.port, 'meter-1');
    proxy.kill('SIGTERM');
    expect(await until(() => told('STOPPING=1'), 'STOPPING=1')).toBe(
      'STOPPING=1\nSTATUS=stops: 1 device still to leave',
    );
    device.socket.destroy();
    expect(await proxy.exited).toBe(0);
  });

  test('serves where the manager cannot be reached, and says so once', async () => {
    const proxy = await startBreakwater({}, [], { NOTIFY_SOCKET: '/nowhere/notify', WATCHDOG_USEC: '20000' });
    const told = () => proxy.logs().filter(({ msg }) => msg === 'service manager is not told');
    await until(() => told().length > 0, 'the log to say so');
    expect(await proxy.api('status')).toMatchObject({ rejectedTotal: 0 });
    expect(told()).toMatchObject([{ level: 'warn', reason: 'ENOENT' }]);
  });
});

describe.runIf(linux)('a notice', () => {
  test('is one datagram, to a path and to an abstract name', () => {
    for (const address of addresses()) {
      const manager = startNotifyReceiver(address);
      const send = createNotifySocket(address);
      expect(send('READY=1\nSTATUS=two lines, ä')).toBe(true);
      expect(manager.messages(), address).toEqual(['READY=1\nSTATUS=two lines, ä']);
    }
  });

  test('that the receiver has no room for is to be sent again', () => {
    const address = `@breakwater-${randomUUID()}`;
    const manager = startNotifyReceiver(address);
    const send = createNotifySocket(address);
    let sent = 0;
    while (sent < 100_000 && send(`STATUS=${sent}`)) sent++;
    expect(sent).toBeLessThan(100_000);
    expect(manager.messages()).toHaveLength(sent);
    expect(send('READY=1')).toBe(true);
  });

  test('goes by systemd-notify where libc cannot be called', async ({ skip }) => {
    const address = join(temporaryDirectory(), 'notify');
    const manager = startNotifyReceiver(address);
    process.env.NOTIFY_SOCKET = address;
    try {
      const send = createNotifySocket(address, () => {
        throw new Error('no koffi');
      });
      expect(send('READY=1\nSTATUS=ready')).toBe(true);
      const arrived = await until(() => manager.messages().length > 0, 'the datagram', 3_000).catch(
        () => false,
      );
      if (!arrived) skip('systemd-notify is not installed');
      expect(manager.messages()[0]?.split('\n')).toEqual(expect.arrayContaining(['READY=1', 'STATUS=ready']));
    } finally {
      delete process.env.NOTIFY_SOCKET;
    }
  });

  test.each(['relative', '', '/', `/${'x'.repeat(108)}`])('to %j is refused', (address) => {
    expect(() => createNotifySocket(address)).toThrow('neither a path nor');
  });
});
