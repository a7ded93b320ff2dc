import { afterEach, expect, test } from 'vitest';
import { measureSlowness, patience, SLOWNESS, slowness, until } from '../../support/wait.ts';

const before = process.env[SLOWNESS];
afterEach(() => {
  process.env[SLOWNESS] = before;
});

test('bounds grow with the slowness of the machine, up to eight times', () => {
  expect(measureSlowness()).toBeGreaterThan(0);
  process.env[SLOWNESS] = '0.5';
  expect(slowness()).toBeGreaterThanOrEqual(1);
  process.env[SLOWNESS] = '1000';
  expect([slowness(), patience(1_000)]).toEqual([8, 8_000]);
});

test('what never comes true fails by name, and what throws at once', async () => {
  await expect(until(() => false, 'nothing', 1)).rejects.toThrow(/^waited \d+ ms for nothing$/);
  const broken = () => Promise.reject(new Error('broken'));
  await expect(until(broken, 'nothing')).rejects.toThrow('broken');
  let looks = 0;
  expect(await until(() => ++looks === 3 && 'there', 'the third look')).toBe('there');
});
