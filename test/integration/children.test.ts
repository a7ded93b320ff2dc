import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdtempSync, readdirSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { adopt, reap } from '../support/children.ts';
import { until } from '../support/wait.ts';

const library = new URL('../../dist/test/support/children.js', import.meta.url).href;

/** A test process with a child that does not end by itself; the ids of both. */
async function startParent(then = '') {
  const folder = mkdtempSync(join(tmpdir(), 'breakwater-test-'));
  const script = `
    import { spawn } from 'node:child_process';
    import { adopt } from '${library}';
    const child = adopt(spawn(process.execPath, ['-e', 'setInterval(() => {}, 1000)']));
    console.log(child.pid);
    setInterval(() => {}, 1000);
    ${then}`;
  const env = { ...process.env, BREAKWATER_TEST_CHILDREN: folder };
  const parent = adopt(
    spawn(process.execPath, ['--input-type=module', '-e', script], {
      env,
      stdio: ['ignore', 'pipe', 'ignore'],
    }),
  );
  const [line] = (await once(parent.stdout as never, 'data')) as [Buffer];
  const child = Number(line);
  const isAlive = () => existsSync(`/proc/${child}`);
  return { parent, folder, isAlive, exited: once(parent, 'exit') };
}

test.skipIf(process.platform !== 'linux').each([
  ['SIGTERM', ''],
  ['a fault', "setTimeout(() => { throw new Error('broken'); }, 50);"],
  ['its own exit', 'setTimeout(() => process.exit(0), 50);'],
])('a test process that ends by %s leaves no child behind', async (how, then) => {
  const { parent, folder, isAlive, exited } = await startParent(then);
  if (how === 'SIGTERM') parent.kill('SIGTERM');
  const [code, signal] = await exited;
  expect([code, signal]).toEqual({ SIGTERM: [null, 'SIGTERM'], 'a fault': [1, null] }[how] ?? [0, null]);
  await until(() => !isAlive(), 'the child to end');
  reap(folder);
});

test.skipIf(process.platform !== 'linux')('nor does one that is killed, to who started it', async () => {
  const { parent, folder, isAlive, exited } = await startParent();
  parent.kill('SIGKILL');
  await exited;
  expect([isAlive(), readdirSync(folder).length]).toEqual([true, 1]);
  expect(reap(folder)).toBe(1);
  await until(() => !isAlive(), 'the child to end');
});
