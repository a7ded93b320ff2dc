import type { Aedes, Client } from 'aedes';
import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { fenceAfterAbsence } from '../../../cluster/fence.ts';

beforeEach(() => void vi.useFakeTimers());
afterEach(() => void vi.useRealTimers());

function fenced() {
  const published: string[] = [];
  const refused: string[] = [];
  let hearOut = (): void => {};
  const aedes = { authorizePublish: (_c, _p, done) => done() } as Aedes;
  const caughtUp = () =>
    new Promise<void>((resolve) => {
      hearOut = resolve;
    });
  const end = fenceAfterAbsence(aedes, caughtUp);
  const publish = (client: object, name: string, packet: object = {}) =>
    aedes.authorizePublish(client as Client, packet as never, (error) =>
      (error == null ? published : refused).push(name),
    );
  return { publish, published, refused, hearOut: () => hearOut(), end };
}

test('a broker that runs publishes at once', () => {
  const { publish, published, end } = fenced();
  vi.advanceTimersByTime(60_000);
  publish({ closed: false }, 'a');
  expect(published).toEqual(['a']);
  end();
});

test('one that was stopped hears the others out first, and forgets what devices sent that are theirs now', async () => {
  const { publish, published, refused, hearOut, end } = fenced();
  const stopped = vi.spyOn(performance, 'now').mockReturnValue(performance.now() + 5_000);
  const taken = { closed: false };
  publish(taken, 'taken');
  publish({ closed: false }, 'own');
  const will = {};
  publish({ closed: true, will }, 'will', will);
  expect(published).toEqual(['will']);
  taken.closed = true;
  hearOut();
  await vi.advanceTimersByTimeAsync(0);
  expect([published, refused]).toEqual([['will', 'own'], ['taken']]);
  publish({ closed: false }, 'next');
  expect(published).toContain('next');
  stopped.mockRestore();
  end();
});
