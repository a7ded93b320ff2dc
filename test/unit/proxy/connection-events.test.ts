import { expect, test } from 'vitest';
import type { WorkerEvent } from '../../../src/data-plane-api/messages.ts';
import { createConnectionEvents } from '../../../src/proxy/connection-events.ts';

function scene(parts: object = {}) {
  const lines: unknown[] = [];
  const log = new Proxy(
    {},
    { get: (_, level) => (fields: object, text: string) => lines.push([level, text, fields]) },
  );
  const blamed: string[] = [];
  const receive = createConnectionEvents({
    log: log as never,
    emit: () => undefined,
    history: { add: () => undefined },
    health: {
      dialFailed: (node, reason) => blamed.push(`${node}: ${reason}`),
      dialSucceeded: () => undefined,
    },
    ...{ memory: {} as never, sessions: {} as never },
    recalled: () => undefined,
    afterOthers: (run) => run(),
    owners: {} as never,
    losses: {} as never,
    reattached: () => undefined,
    requests: () => undefined,
    listenerUrl: () => '',
    ...parts,
  });
  return { receive: (...events: WorkerEvent[]) => receive(events, 0), lines, blamed };
}

const failed = (failure: 'refused' | 'local', detail: string): WorkerEvent => ({
  type: 'dial-failed',
  node: 'a',
  failure,
  detail,
});
const OUT = 'out of descriptors, ports or memory';

test('a dial that fails for want of our own descriptors or ports is not the node’s fault', () => {
  const { receive, blamed } = scene();
  receive(failed('local', 'EMFILE'), failed('refused', 'ECONNREFUSED'), failed('local', 'EADDRNOTAVAIL'));
  expect(blamed).toEqual(['a: refused']);
});

test('what we are out of is told once for each cause, and then every ten seconds', () => {
  const { receive, lines } = scene();
  for (let i = 0; i < 3; i++) receive(failed('local', 'EADDRNOTAVAIL'));
  for (let i = 0; i < 3; i++) receive({ type: 'accept-paused', reason: 'EMFILE', more: 4 });
  expect(lines.filter((line) => (line as unknown[])[0] === 'error')).toEqual([
    ['error', OUT, { cause: 'EADDRNOTAVAIL', more: 0 }],
    ['error', OUT, { cause: 'EMFILE', more: 4 }],
  ]);
});

test('where a device was is answered when what the other threads have sent is heard', async () => {
  const told: string[] = [];
  let isClaimed = false;
  let answer: (() => void) | undefined;
  const { receive } = scene({
    afterOthers: (run: () => void) => {
      answer = run;
    },
    memory: {
      claim: async () => {
        isClaimed = true;
      },
      recall: async () => (isClaimed ? 'n1' : undefined),
    },
    recalled: (_: number, request: number, node: string) => told.push(`${request} ${node}`),
  });
  receive({ type: 'recall', request: 1, pool: 'p', clientId: 'd' });
  receive({ type: 'claimed', pool: 'p', clientId: 'd', who: 0, sinceMs: 1, node: 'n1', ttlMs: 1_000 });
  answer?.();
  await new Promise(setImmediate);
  expect(told).toEqual(['1 n1']);
});
