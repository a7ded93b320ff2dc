import { afterEach, expect, test } from 'vitest';
import { defaultConfig } from '../../../src/config/load.ts';
import { verifying } from '../../../src/engine/tls.ts';
import { NodeAgents } from '../../../src/http-proxy/node-agents.ts';

const upstream = defaultConfig().pools[0]?.upstream ?? expect.fail('there is no pool');
const target = { slot: 0, nodeId: 'a', host: '192.0.2.1', port: 80 };
let now = 0;
const agents = new NodeAgents(16_384, () => now);
afterEach(() => agents.close());

test('one pool of connections for a node, as long as it is reached in the same way', () => {
  const first = agents.for(target, upstream, verifying);
  expect(agents.for({ ...target }, upstream, verifying)).toBe(first);
  const others = [
    agents.for({ ...target, port: 81 }, upstream, verifying),
    agents.for({ ...target, sourceAddress: '192.0.2.9' }, upstream, verifying),
    agents.for(target, { ...upstream, connectTimeoutMs: 1 }, verifying),
    agents.for({ ...target, tls: { pool: 0, serverName: 'a' } }, upstream, verifying),
    agents.for({ ...target, tls: { pool: 0, serverName: 'a' } }, upstream, { verify: false }),
  ];
  expect(new Set([first, ...others]).size).toBe(6);
});

test('a pool that nobody uses is closed after a minute, and one with a request is not', () => {
  const [idle, busy] = [
    agents.for(target, upstream, verifying),
    agents.for({ ...target, port: 81 }, upstream, verifying),
  ];
  busy.load.add('192.0.2.7');
  now += 59_000;
  agents.sweep();
  expect(idle.pool.closed).toBe(false);
  now += 2_000;
  agents.sweep();
  expect([idle.pool.closed, busy.pool.closed]).toEqual([true, false]);
  expect(agents.for(target, upstream, verifying)).not.toBe(idle);
});
