import fc from 'fast-check';
import { expect, test } from 'vitest';
import { laidTogether, listed } from '../../../src/data-plane/client-list.ts';
import type { ClientAnswer, ClientRecord } from '../../../src/data-plane-api/messages.ts';

type Listed = Parameters<typeof listed>[0];

/** Connections in no order, as a set is that gives a place to the last one. */
const connections = (numbers: readonly number[]): Listed =>
  numbers.map((number) => ({
    ...{
      number,
      clientId: `meter-${number}`,
      placedAtMs: 1,
      peer: { remoteAddress: '192.0.2.1', remotePort: 1 },
    },
    ...{ target: { nodeId: 'a' }, connect: { protocolLevel: 4, keepAlive: 60 }, reattachments: 0 },
  })) as never;

test('pages by number: each connection once, in order', () => {
  const numbers = fc.uniqueArray(fc.nat(10_000), { maxLength: 50 });
  fc.assert(
    fc.property(numbers, numbers, fc.integer({ min: 1, max: 20 }), (here, there, limit) => {
      const wanted = new Set([...here, ...there].toSorted((a, b) => a - b));
      const seen: number[] = [];
      for (let after = -1, isMore = true; isMore; ) {
        const hosts = [here, there.filter((number) => !here.includes(number))];
        const answers = hosts.map((each) => listed(connections(each), { after, limit }, 0, 1_000));
        const page = laidTogether(answers, limit);
        expect(page.total).toBe(wanted.size);
        seen.push(...page.clients.map(({ connection }) => connection));
        isMore = page.behind > page.clients.length;
        after = page.clients.at(-1)?.connection ?? after;
      }
      expect(seen).toEqual([...wanted]);
    }),
  );
});

test('only numbers are asked for', () => {
  const counts = listed(connections([5, 1, 9]), { after: 1, limit: 0 }, 0, 0);
  expect(counts).toEqual({ clients: [], total: 3, behind: 2 });
  const record = (connection: number) => ({ connection }) as ClientRecord;
  const answers: ClientAnswer[] = [
    { clients: [record(4)], total: 4, behind: 4 },
    { clients: [record(2)], total: 1, behind: 1 },
  ];
  expect(laidTogether(answers, 1)).toEqual({ clients: [record(2)], total: 5, behind: 5 });
});
