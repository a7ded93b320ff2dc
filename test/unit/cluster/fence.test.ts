import type { Aedes, AedesPublishPacket, Client } from 'aedes';
import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import type { Incoming } from '../../../cluster/exactly-once.ts';
import { fenceAfterAbsence } from '../../../cluster/fence.ts';

beforeEach(() => void vi.useFakeTimers());
afterEach(() => void vi.useRealTimers());

type Done = (error?: Error) => void;

function fenced() {
  const done: string[] = [];
  const refused: string[] = [];
  let hearOut = (): void => {};
  const aedes = {
    authorizePublish: (_client: object | null, _packet: object, then: Done) => then(),
    publish: (_packet: object, _client: object | null, then: Done) => then(),
  };
  const incoming = { incomingStorePacket: async () => {} };
  const caughtUp = () =>
    new Promise<void>((resolve) => {
      hearOut = resolve;
    });
  const end = fenceAfterAbsence(aedes as unknown as Aedes, incoming, caughtUp);
  const { incomingStorePacket: store } = incoming as Pick<Incoming, 'incomingStorePacket'>;
  const tell = (name: string) => (error?: Error) => void (error === undefined ? done : refused).push(name);
  return {
    read: (client: object | null, name: string, packet: object = {}) =>
      aedes.authorizePublish(client, packet, tell(name)),
    publish: (client: object | null, name: string, packet: object = {}) =>
      aedes.publish(packet, client, tell(name)),
    store: (client: object, name: string) =>
      store(client as Client, {} as AedesPublishPacket).then(
        () => done.push(name),
        () => refused.push(name),
      ),
    ...{ done, refused, end },
    hearOut: () => hearOut(),
  };
}

test('a broker that runs stores and publishes at once', async () => {
  const { read, publish, store, done, end } = fenced();
  vi.advanceTimersByTime(60_000);
  read({ closed: false }, 'a');
  publish({ closed: false }, 'b');
  expect(done).toEqual(['a', 'b']);
  await store({ closed: false }, 'c');
  expect(done).toEqual(['a', 'b', 'c']);
  end();
});

test('one that was stopped hears the others out first, and forgets what devices sent that are theirs now', async () => {
  const { read, publish, store, done, refused, hearOut, end } = fenced();
  const stopped = vi.spyOn(performance, 'now').mockReturnValue(performance.now() + 5_000);
  const taken = { closed: false };
  const own = { closed: false };
  for (const [client, name] of [
    [taken, 'taken'],
    [own, 'own'],
  ] as const) {
    read(client, `${name}, read`);
    void store(client, `${name}, stored`);
    publish(client, `${name}, published`);
  }
  const will = {};
  publish({ closed: true, will }, 'will', will);
  publish(null, 'news');
  await vi.advanceTimersByTimeAsync(0);
  expect(done).toEqual(['will', 'news']);
  taken.closed = true;
  hearOut();
  await vi.advanceTimersByTimeAsync(0);
  expect(new Set(done)).toEqual(new Set(['will', 'news', 'own, read', 'own, stored', 'own, published']));
  expect(new Set(refused)).toEqual(new Set(['taken, read', 'taken, stored', 'taken, published']));
  publish({ closed: false }, 'next');
  expect(done).toContain('next');
  stopped.mockRestore();
  end();
});

test('one that is stopped again while it hears the others out hears them out once more', async () => {
  const { publish, done, hearOut, end } = fenced();
  const startedMs = performance.now();
  const stopped = vi.spyOn(performance, 'now').mockReturnValue(startedMs + 5_000);
  publish({ closed: false }, 'a');
  hearOut();
  stopped.mockReturnValue(startedMs + 10_000);
  publish({ closed: false }, 'b');
  await vi.advanceTimersByTimeAsync(0);
  expect(done).toEqual([]);
  hearOut();
  await vi.advanceTimersByTimeAsync(0);
  expect(new Set(done)).toEqual(new Set(['a', 'b']));
  stopped.mockRestore();
  end();
});
