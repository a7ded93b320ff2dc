import { resolve } from 'node:path';
import { expect, test } from 'vitest';
import { chooseEngine } from '../../src/engine/create.ts';
import { startAedes } from '../support/aedes.ts';
import { startBreakwater } from '../support/breakwater.ts';
import { connectDevice } from '../support/devices.ts';

const chosen = chooseEngine('auto', 2).name;

test.runIf(chosen === 'uring')(
  'a data thread for which no ring can be made has the engine epoll, says so, and serves',
  async () => {
    const [node] = await startAedes(1);
    const NODE_OPTIONS = `--import=${resolve('test/support/no-ring.mjs')}`;
    const pools = { default: { nodes: [{ url: node?.url }] } };
    const breakwater = await startBreakwater({ proxy: { threads: 2 }, pools }, [], { NODE_OPTIONS });
    for (let i = 0; i < 10; i++) expect((await connectDevice(breakwater.port, `meter-${i}`)).code).toBe(0);
    const lines = breakwater.logs();
    expect(lines.filter(({ msg }) => msg === 'engine uring failed')).toEqual([
      expect.objectContaining({
        level: 'error',
        thread: 0,
        error: expect.stringContaining('io_uring_setup: EINVAL'),
      }),
      expect.objectContaining({ level: 'error', thread: 1 }),
    ]);
    expect(lines).toContainEqual(expect.objectContaining({ msg: 'starting', engine: 'uring' }));
    expect(await breakwater.api('status')).toMatchObject({ proxy: { engine: 'uring' }, ready: true });
  },
);
