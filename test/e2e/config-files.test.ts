import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { beforeAll, describe, expect, test } from 'vitest';
import { startAedes } from '../support/aedes.ts';
import { type Breakwater, startBreakwater } from '../support/breakwater.ts';
import { connectDevice } from '../support/devices.ts';
import { temporaryDirectory } from '../support/process.ts';
import { until } from '../support/wait.ts';

/** Runs in a folder that is deleted before it starts. */
async function startInDeletedFolder(config: object): Promise<Breakwater> {
  const folder = join(temporaryDirectory(), 'gone');
  mkdirSync(folder);
  return startBreakwater(config, [], {}, ['sh', '-c', `cd ${folder} && rmdir ${folder} && exec "$0" "$@"`]);
}

describe('a proxy whose working folder was deleted, and whose file is so large that a thread reads it', () => {
  let breakwater: Breakwater;
  let config: (reject?: string) => object;
  beforeAll(async () => {
    const [broker] = await startAedes(1);
    const banned = Array.from({ length: 300 }, (_, i) => ({
      ...{ when: { username: `^user-${i}-${'x'.repeat(200)}$` }, reject: 'banned' },
    }));
    config = (reject = 'banned') => ({
      pools: { default: { nodes: [{ id: 'a', url: broker?.url }] } },
      rules: [...banned, { when: { clientId: '^b' }, reject }],
      limits: { shutdownGrace: 0 },
    });
    breakwater = await startInDeletedFolder(config());
  });
  const reload = () => breakwater.api('reload', { method: 'POST' });
  const lines = (wanted: string) => breakwater.logs().filter(({ msg }) => msg === wanted);

  test('takes it at the start and at a reload; its problems have their lines', async () => {
    expect((await connectDevice(breakwater.port, 'b1')).code).toBe(5);
    breakwater.rewrite(config('server-unavailable'));
    expect(await reload()).toMatchObject({ settings: ['rules'] });
    expect((await connectDevice(breakwater.port, 'b1')).code).toBe(3);
    breakwater.rewrite(config('never'));
    await expect(reload()).rejects.toThrow(/"path":"rules\[300\]\.reject","line":1,"column":\d+,/);
  });

  test('answers others while it reads one that is wrong in 200 places', async () => {
    breakwater.rewriteText(Array.from({ length: 200 }, (_, i) => `key${i}: "${'x'.repeat(400)}"`).join('\n'));
    let answered = 0;
    let isRefused = false;
    const refused = reload().catch((error: Error) => {
      isRefused = true;
      return error.message;
    });
    while (!isRefused) {
      expect((await fetch(`${breakwater.adminUrl}/livez`)).status).toBe(200);
      if (!isRefused) answered++;
    }
    expect(answered).toBeGreaterThan(0);
    expect(await refused).toContain('key0: is not a known key');
    const more = () => lines('configuration is wrong in more places');
    await until(() => more().length === 1, 'the log to tell the end');
    expect(more()).toMatchObject([{ more: 150 }]);
    const told = lines('configuration is wrong').filter(({ problem }) => / key\d+: /.test(String(problem)));
    expect(told).toHaveLength(50);
  });

  test('heeds SIGHUP, and stops in order', async () => {
    breakwater.rewrite({ ...config(), rules: [{ when: { clientId: '^sighup' }, reject: 'banned' }] });
    breakwater.kill('SIGHUP');
    await until(async () => (await connectDevice(breakwater.port, 'sighup')).code === 5, 'the reload');
    breakwater.kill('SIGTERM');
    expect(await breakwater.exited).toBe(0);
  });
});
