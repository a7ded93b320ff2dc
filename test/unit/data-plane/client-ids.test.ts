import { expect, test } from 'vitest';
import { ClientIds } from '../../../src/data-plane/client-ids.ts';
import type { ThreadEvent } from '../../../src/data-plane/messages.ts';
import { createOwners } from '../../../src/server/owners.ts';

/** Threads and the main thread between them, which is told nothing before `hears`; what one thread says keeps its order. */
function stage(threads: number) {
  const ended: string[] = [];
  const said: (() => void)[][] = Array.from({ length: threads }, () => []);
  let nowMs = 0;
  const owners = createOwners((thread, clientId, sinceMs) => ids[thread]?.superseded(clientId, sinceMs));
  const ids = Array.from({ length: threads }, (_, thread) => {
    const tell = (event: ThreadEvent) =>
      void said[thread]?.push(() => {
        if (event.type === 'owned') owners.owned(thread, event.clientId, event.sinceMs);
        if (event.type === 'disowned') owners.disowned(thread, event.clientId);
      });
    return new ClientIds<Holder>({ now: () => ++nowMs, tell });
  });
  interface Holder {
    claimedAtMs: number;
    end(reason: string): void;
  }
  return {
    ended,
    connects(thread: number, name: string): Holder {
      const holder = {
        claimedAtMs: 0,
        end: (reason: string) => {
          ended.push(`${name} ${reason}`);
          ids[thread]?.disown('dev', holder);
        },
      };
      ids[thread]?.claim('dev', holder);
      return holder;
    },
    holder: (thread: number) => ids[thread]?.get('dev'),
    /** All that one thread has said, then all that the next has, until nobody says anything. */
    hears(order: readonly number[]): void {
      while (said.some(({ length }) => length > 0)) {
        for (const thread of order) for (const event of said[thread]?.splice(0) ?? []) event();
      }
    },
  };
}

test('the newer of two connections has the client id (rule 14) [MQTT-3.1.4-3]', () => {
  const { connects, ended, holder } = stage(1);
  connects(0, 'old');
  const young = connects(0, 'young');
  expect(ended).toEqual(['old taken-over']);
  expect(holder(0)).toBe(young);
});

test.each([
  { order: [0, 1] },
  { order: [1, 0] },
])('a device that is back at its first thread at once is not ended for where it was between (%o)', ({
  order,
}) => {
  const { connects, hears, ended, holder } = stage(2);
  connects(0, 'first');
  connects(1, 'second');
  const third = connects(0, 'third');
  hears(order);
  expect(ended.sort()).toEqual(['first taken-over', 'second taken-over']);
  expect(holder(0)).toBe(third);
  expect(holder(1)).toBeUndefined();
});

test('an empty client id is nobody’s', () => {
  const ids = new ClientIds({ now: () => 1, tell: undefined });
  ids.claim('', { claimedAtMs: 0, end: () => expect.unreachable() });
  ids.claim('', { claimedAtMs: 0, end: () => expect.unreachable() });
});
