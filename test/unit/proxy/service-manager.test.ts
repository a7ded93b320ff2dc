import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { ServiceManager } from '../../../src/proxy/service-manager.ts';

beforeEach(() => void vi.useFakeTimers());
afterEach(() => void vi.useRealTimers());

function scene(watchdogMs?: number) {
  const sent: string[] = [];
  const state = { hasRoom: true, isAlive: true, status: 'well' };
  const manager = new ServiceManager({
    send(text) {
      if (state.hasRoom) sent.push(text);
      return state.hasRoom;
    },
    watchdogMs,
    monotonicMicros: () => 17n,
    log: { warn: () => {} },
  });
  const ready = () => manager.ready({ isAlive: () => state.isAlive, status: () => state.status });
  return { manager, ready, sent, state };
}

test('a reload before the start is over, or after the stop began, is not told', () => {
  const { manager, ready, sent } = scene();
  manager.reloading();
  manager.reloaded();
  ready();
  manager.reloading();
  manager.stopping();
  manager.reloaded();
  manager.reloading();
  expect(sent).toEqual(['READY=1\nSTATUS=well', 'RELOADING=1\nMONOTONIC_USEC=17', 'STOPPING=1']);
  manager.close();
});

test('the sign of life comes at half of the time, and not while a thread gives none', () => {
  const { manager, ready, sent, state } = scene(2000);
  ready();
  vi.advanceTimersByTime(3000);
  expect(sent.slice(1)).toEqual(['WATCHDOG=1', 'WATCHDOG=1', 'WATCHDOG=1']);
  state.isAlive = false;
  vi.advanceTimersByTime(4000);
  expect(sent).toHaveLength(4);
  manager.close();
  state.isAlive = true;
  vi.advanceTimersByTime(4000);
  expect(sent).toHaveLength(4);
});

test('the line for people is told when it has changed', () => {
  const { manager, ready, sent, state } = scene();
  ready();
  vi.advanceTimersByTime(20_000);
  state.status = 'two\nlines';
  vi.advanceTimersByTime(20_000);
  expect(sent).toEqual(['READY=1\nSTATUS=well', 'STATUS=two lines']);
  manager.close();
});

test('what is not taken waits, in order and within a bound, and the oldest is given up', () => {
  const { manager, ready, sent, state } = scene();
  state.hasRoom = false;
  ready();
  for (let i = 0; i < 20; i++) {
    manager.reloading();
    manager.reloaded();
  }
  state.hasRoom = true;
  vi.advanceTimersByTime(1000);
  expect(sent).toHaveLength(16);
  expect(sent.at(-1)).toBe('READY=1');
  manager.close();
});

test('signs of life and lines for people that are not taken push nothing out, and none is sent that is not true any more', () => {
  const { manager, ready, sent, state } = scene(1000);
  state.hasRoom = false;
  ready();
  vi.advanceTimersByTime(60_000);
  state.status = 'worse';
  vi.advanceTimersByTime(10_000);
  state.isAlive = false;
  vi.advanceTimersByTime(400);
  state.hasRoom = true;
  vi.advanceTimersByTime(10_000);
  expect(sent).toEqual(['READY=1\nSTATUS=well', 'STATUS=worse']);
  state.isAlive = true;
  vi.advanceTimersByTime(500);
  expect(sent.slice(2)).toEqual(['WATCHDOG=1']);
  manager.close();
});

test('a sign of life that is not taken at once follows as soon as it is', () => {
  const { manager, ready, sent, state } = scene(60_000);
  ready();
  state.hasRoom = false;
  vi.advanceTimersByTime(30_100);
  state.hasRoom = true;
  vi.advanceTimersByTime(200);
  expect(sent.slice(1)).toEqual(['WATCHDOG=1']);
  manager.close();
});

test('after the hand-over this process says nothing: the manager listens to the other one', () => {
  const { manager, ready, sent } = scene(1000);
  ready();
  manager.handedOver(4711);
  manager.stopping();
  vi.advanceTimersByTime(10_000);
  expect(sent).toEqual(['READY=1\nSTATUS=well', 'MAINPID=4711']);
  manager.close();
});
