import { beforeAll, describe, expect, test } from 'vitest';
import type { ReloadView } from '../../src/admin/backend.ts';
import { startAedes } from '../support/aedes.ts';
import { type Breakwater, startBreakwater } from '../support/breakwater.ts';
import { until } from '../support/wait.ts';

let brokers: Awaited<ReturnType<typeof startAedes>>;
beforeAll(async () => {
  brokers = await startAedes(2);
});
const nodeAt = (index: number) => ({ id: `n${index}`, url: brokers[index]?.url ?? '' });

describe.each(['epoll', 'node'] as const)('%s engine: a reload', (engine) => {
  let proxy: Breakwater;
  const base = () => ({ proxy: { engine, threads: 2 }, pools: { default: { nodes: [nodeAt(0)] } } });
  const reload = () => proxy.api<ReloadView>('reload', { method: 'POST' });
  const nothing = { added: [], removed: [], changed: [] };
  beforeAll(async () => {
    proxy = await startBreakwater(base());
  });

  test('without a difference changes nothing, by SIGHUP too', async () => {
    expect(await reload()).toEqual({ listeners: nothing, pools: nothing, settings: [], certificates: [] });
    process.kill(proxy.pid, 'SIGHUP');
    await until(
      () => proxy.logs().filter(({ msg }) => msg === 'reloaded: nothing has changed').length === 2,
      'the second',
    );
  });
});
