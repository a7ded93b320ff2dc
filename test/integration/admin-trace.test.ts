import { afterEach, expect, test } from 'vitest';
import type { Admin } from '../../src/admin/admin.ts';
import type { ClientTrace } from '../../src/admin/backend.ts';
import { startAdmin } from '../support/admin.ts';
import {
  adminToken,
  createMemoryBackend,
  memoryClient,
  memoryNode,
  silentLog,
} from '../support/memory-backend.ts';
import { until } from '../support/wait.ts';

/** The stream of a trace: how it begins, and everything that ends it. */

let admin: Admin;
afterEach(() => admin.close());

async function start() {
  const backend = createMemoryBackend([memoryNode('a')], [memoryClient('meter-1')]);
  const client = { clientId: 'meter-1', connection: 1, proxy: 'edge-1', node: 'a' };
  const state = { taken: {} as Partial<Awaited<ReturnType<ClientTrace['take']>>>, ended: 0 };
  backend.trace = async () => ({
    client,
    async take() {
      const { taken } = state;
      state.taken = {};
      return { packets: [], dropped: 0, ...taken };
    },
    async end() {
      state.ended++;
    },
  });
  let tokens = [adminToken('open sesame', 'operator', 'night')];
  admin = await startAdmin({ url: 'http://127.0.0.1:0', tokens: () => tokens, backend, log: silentLog });
  const aborted = new AbortController();
  const response = await fetch(`${admin.url}/api/v1/clients/meter-1/trace`, {
    headers: { authorization: 'Bearer open sesame' },
    signal: aborted.signal,
  });
  const stream = { text: '', isOver: false };
  void (async () => {
    const reader = response.body?.pipeThrough(new TextDecoderStream());
    for await (const chunk of reader ?? []) stream.text += chunk;
    stream.isOver = true;
  })().catch(() => {});
  const forget = () => {
    tokens = [adminToken('another', 'operator', 'day')];
  };
  await until(() => stream.text.includes('event: client'), 'the beginning');
  return { state, stream, abort: () => aborted.abort(), forget };
}

test('packets, and how many could not be shown; the end of the device is its end', async () => {
  const { state, stream } = await start();
  const packet = { atMs: 1000, direction: 'from-device', type: 'pingreq', size: 2 } as const;
  state.taken = { packets: [packet], dropped: 3 };
  await until(() => stream.text.includes('event: dropped\ndata: {"count":3}'), 'the count');
  expect(stream.text).toContain(
    'event: packet\ndata: {"at":"1970-01-01T00:00:01.000Z","direction":"from-device","type":"pingreq","size":2}\n\n',
  );
  state.taken = { over: 'the device has left' };
  await until(() => stream.isOver, 'the end');
  expect(stream.text).toMatch(/event: end\ndata: \{"reason":"the device has left"\}\n\n$/);
  await until(() => state.ended === 1, 'the trace to be ended');
});

test('a reader that goes ends the trace', async () => {
  const { state, abort } = await start();
  abort();
  await until(() => state.ended === 1, 'the trace to be ended');
});

test('a token that is taken away ends it', async () => {
  const { state, stream, forget } = await start();
  forget();
  await until(() => stream.isOver, 'the end');
  expect(stream.text).toContain('{"reason":"you may not see it any more"}');
  await until(() => state.ended === 1, 'the trace to be ended');
});

test('the end of the proxy ends it', async () => {
  const { stream } = await start();
  await admin.close();
  await until(() => stream.isOver, 'the end');
  expect(stream.text).toContain('{"reason":"the proxy stops"}');
});
