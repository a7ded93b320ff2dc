import { expect, test } from 'vitest';
import { singleFlight } from '../../../src/proxy/single-flight.ts';

/** A task whose runs end when the test says so. */
function scene() {
  const running: { resolve: (value: string) => void; reject: (error: Error) => void }[] = [];
  const { run, idle } = singleFlight(
    () => new Promise<string>((resolve, reject) => running.push({ resolve, reject })),
  );
  return { run, idle, running };
}
const settled = () => new Promise((resolve) => setImmediate(resolve));

test('the task never runs twice at a time, and all who ask meanwhile share the next run', async () => {
  const { run, running } = scene();
  const first = run();
  await settled();
  const [second, third] = [run(), run()];
  await settled();
  expect(running).toHaveLength(1);
  running[0]?.resolve('one');
  expect(await first).toBe('one');
  await settled();
  const fourth = run(); // asked after the second run began
  running[1]?.resolve('two');
  expect(await Promise.all([second, third])).toEqual(['two', 'two']);
  await settled();
  running[2]?.resolve('three');
  expect(await fourth).toBe('three');
});

test('a run that fails is its askers’ own, and the next one runs', async () => {
  const { run, running } = scene();
  const first = run();
  await settled();
  const second = run();
  running[0]?.reject(new Error('bad file'));
  await expect(first).rejects.toThrow('bad file');
  await settled();
  running[1]?.resolve('well');
  expect(await second).toBe('well');
});

test('who waits until nothing runs also waits for whoever has asked meanwhile, and for runs that fail', async () => {
  const { run, idle, running } = scene();
  const steps: string[] = [];
  const first = run();
  const ended = idle().then(() => steps.push('idle'));
  await settled();
  const second = run();
  running[0]?.reject(new Error('bad file'));
  await expect(first).rejects.toThrow('bad file');
  await settled();
  expect(steps).toEqual([]);
  running[1]?.resolve('well');
  await Promise.all([second, ended]);
  await idle(); // nothing runs: at once
});
