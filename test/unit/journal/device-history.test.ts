import { describe, expect, it } from 'vitest';
import { type DeviceEntry, DeviceHistory } from '../../../src/journal/device-history.ts';

const entry = (what: DeviceEntry['what'], more: Partial<DeviceEntry> = {}): DeviceEntry => ({
  ...{ at: '2026-01-01T00:00:00.000Z', what },
  ...more,
});
const scene = (devices: number, bytes = 1e9) => new DeviceHistory(() => ({ devices, bytes }));

describe('the history of devices', () => {
  it('remembers a device that has left', () => {
    const history = scene(10);
    history.add('m-1', entry('connected', { node: 'a' }));
    history.add('m-1', entry('moved', { from: 'a', node: 'b' }));
    history.add('m-1', entry('ended', { reason: 'device-closed' }));
    expect(history.of('m-1').map(({ what }) => what)).toEqual(['connected', 'moved', 'ended']);
    expect(history.of('m-2')).toEqual([]);
  });

  it('forgets the device that was longest untouched', () => {
    const history = scene(2);
    for (const id of ['a', 'b', 'a', 'c']) history.add(id, entry('connected'));
    expect(['a', 'b', 'c'].map((id) => history.of(id).length)).toEqual([2, 0, 1]);
  });

  it('keeps the last twenty entries of one', () => {
    const history = scene(10);
    for (let i = 0; i < 50; i++) history.add('m', entry('connected', { connection: i }));
    expect(history.of('m').map(({ connection }) => connection)).toEqual(
      Array.from({ length: 20 }, (_, i) => i + 30),
    );
  });

  it('keeps to its bytes, whatever comes', () => {
    const history = scene(1_000_000, 100_000);
    for (let i = 0; i < 10_000; i++)
      history.add(`device-${i % 3000}`, entry('connected', { remoteAddress: '192.0.2.7:51234' }));
    const kept = Array.from({ length: 3000 }, (_, i) => history.of(`device-${i}`).length > 0);
    const count = kept.filter(Boolean).length;
    expect(count).toBeGreaterThan(50);
    expect(count).toBeLessThan(250);
  });

  it('a storm of strangers that are refused drives out nobody who was served', () => {
    const history = scene(80);
    for (let i = 0; i < 80; i++) history.add(`m-${i}`, entry('connected'));
    for (let i = 0; i < 10_000; i++) history.add(`stranger-${i}`, entry('refused', { reason: 'banned' }));
    for (let i = 0; i < 80; i++) expect(history.of(`m-${i}`)).toHaveLength(1);
    expect(history.of('stranger-9999')).toHaveLength(1);
    expect(history.of('stranger-9989')).toHaveLength(0);
  });

  it('what was refused before it was served is remembered together', () => {
    const history = scene(80);
    history.add('m', entry('refused', { reason: 'no-node' }));
    history.add('m', entry('connected'));
    history.add('m', entry('refused', { reason: 'no-node' }));
    expect(history.of('m').map(({ what }) => what)).toEqual(['refused', 'connected', 'refused']);
  });

  it('remembers nobody where it may not', () => {
    const history = scene(0);
    history.add('m', entry('connected'));
    expect(history.of('m')).toEqual([]);
  });

  it('goes over to another process: what was there comes first, and who was touched last is forgotten last', () => {
    const old = scene(3);
    old.add('refused', entry('refused', { reason: 'denied' }));
    for (const id of ['a', 'b', 'c']) old.add(id, entry('connected', { node: 'n1' }));
    const next = scene(3);
    next.add('b', entry('ended'));
    next.restore(structuredClone(old.describe()));
    expect(next.of('b').map(({ what }) => what)).toEqual(['connected', 'ended']);
    expect(next.of('refused')).toEqual(old.of('refused'));
    next.add('d', entry('connected'));
    expect(['a', 'b', 'c', 'd'].map((id) => next.of(id).length)).toEqual([0, 2, 1, 1]);
  });

  it('hands over no more than the room for it, of those that were touched last', () => {
    const history = scene(10_000);
    for (let i = 0; i < 1_000; i++) history.add(`device-${i}`, entry('connected'));
    const handed = history.describe(40_000);
    expect(handed.length).toBeGreaterThan(50);
    expect(handed.length).toBeLessThan(200);
    expect(handed.at(-1)?.[0]).toBe('device-999');
  });
});
