import { mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { startAedes } from '../support/aedes.ts';
import { startBreakwater } from '../support/breakwater.ts';
import { main, run } from '../support/cli.ts';
import { connectDevice } from '../support/devices.ts';
import { start, temporaryDirectory } from '../support/process.ts';
import { until } from '../support/wait.ts';

/** A file with this content, and its path. */
function file(content: string | Uint8Array): string {
  const path = join(temporaryDirectory(), 'breakwater.yaml');
  writeFileSync(path, content);
  return path;
}

describe('a file that is no text in UTF-8 is refused with its line', () => {
  test.each([
    ['Latin-1', Buffer.from('cluster: a\nproxy:\n  id: B\xe4r\n', 'latin1'), 3],
    ['UTF-16', Buffer.from('\ufeffcluster: a\n', 'utf16le'), 1],
    [
      'a character that is cut off at the end',
      Buffer.from([...Buffer.from('cluster: a\n# '), 0xe2, 0x82]),
      2,
    ],
  ])('%s', async (_, bytes, line) => {
    const path = file(bytes);
    const { code, stderr } = await run(['check', '-c', path]);
    expect(code).toBe(2);
    expect(stderr).toBe(
      `error: ${path}: one problem\n  line ${line}: is not UTF-8; save the file in that encoding\n`,
    );
  });
});

test('a folder and an endless file are refused', async () => {
  const [folder, endless] = await Promise.all([
    run(['check', '-c', temporaryDirectory()]),
    run(['check', '-c', '/dev/zero']),
  ]);
  expect([folder.code, endless.code]).toEqual([2, 2]);
  expect(folder.stderr).toMatch(/^error: cannot read the configuration \S+: it is a folder\n$/);
  expect(endless.stderr).toContain('larger than 1048576 bytes: not a configuration');
});

test('a large wrong file is refused at a reload, and keeps the main thread from nothing meanwhile', async () => {
  const breakwater = await startBreakwater({});
  breakwater.rewriteText(Array.from({ length: 900 }, (_, i) => `key${i}: "${'x'.repeat(400)}"`).join('\n'));
  let answered = 0;
  let isRefused = false;
  const reload = breakwater.api('reload', { method: 'POST' }).catch((error: Error) => {
    isRefused = true;
    return error.message;
  });
  while (!isRefused) {
    expect((await fetch(`${breakwater.adminUrl}/livez`)).status).toBe(200);
    if (!isRefused) answered++;
  }
  expect(answered).toBeGreaterThan(0);
  expect(await reload).toContain('key0: is not a known key');
  const lines = (wanted: string) => breakwater.logs().filter(({ msg }) => msg === wanted);
  await until(
    () => lines('not reloaded: everything stays as it was').length === 1,
    'the log to tell the end',
  );
  expect(lines('configuration is wrong')).toHaveLength(50);
  expect(lines('configuration is wrong in more places')).toMatchObject([{ more: 850 }]);
});

test('a large file is taken at the start and at a reload, and its problems have their lines', async () => {
  const [broker] = await startAedes(1);
  const pools = { default: { nodes: [{ id: 'a', url: broker?.url }] } };
  const rules = (reject: string) => [
    ...Array.from({ length: 900 }, (_, i) => ({
      when: { username: `^user-${i}-${'x'.repeat(60)}$` },
      reject,
    })),
    { when: { clientId: '^b' }, reject },
  ];
  const breakwater = await startBreakwater({ pools, rules: rules('banned') });
  expect((await connectDevice(breakwater.port, 'b1')).code).toBe(5);
  breakwater.rewrite({ pools, rules: rules('server-unavailable') });
  expect(await breakwater.api('reload', { method: 'POST' })).toMatchObject({ settings: ['rules'] });
  expect((await connectDevice(breakwater.port, 'b1')).code).toBe(3);
  breakwater.rewrite({ pools, rules: rules('never') });
  await expect(breakwater.api('reload', { method: 'POST' })).rejects.toThrow(
    /"path":"rules\[0\]\.reject","line":1,"column":\d+,/,
  );
});

test('a working folder that was deleted does not matter', async () => {
  const folder = join(temporaryDirectory(), 'gone');
  mkdirSync(folder);
  const path = file('listeners: [{ url: "mqtt://127.0.0.1:0" }]\nadmin: { url: "http://127.0.0.1:0" }\n');
  const command = `cd ${folder} && rmdir ${folder} && exec ${process.execPath} ${main} start -c ${path}`;
  const proxy = start('sh', ['-c', command]);
  const says = (msg: string) =>
    until(() => proxy.output().includes(`"msg":"${msg}`), `the log to say '${msg}'`);
  await says('listening');
  proxy.kill('SIGHUP');
  await says('reloaded: nothing has changed');
  proxy.kill('SIGTERM');
  expect(await proxy.exited).toBe(0);
  rmSync(path);
});
