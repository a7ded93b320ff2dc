import { createServer } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { parseArgs } from 'node:util';
import { Broker } from './broker.ts';
import { Channel } from './channel.ts';
import type { LockRule } from './locks.ts';

/**
 * One node of the stand-in for an EMQX cluster, a process of its own so that it can be stopped and killed:
 * `node.js --id emqx-1 --port 1883 --cluster emqx-1=5001,emqx-2=5002,emqx-3=5003 [--locks ring]`.
 */
const { values } = parseArgs({
  options: {
    id: { type: 'string', default: '' },
    port: { type: 'string', default: '0' },
    /** Each node's port for the others. */
    cluster: { type: 'string', default: '' },
    locks: { type: 'string', default: 'measured' },
  },
});
/** It listens when it knows the others, or does not find them in this time. */
const TOGETHER_MS = 3_000;

const ports = new Map(
  values.cluster.split(',').map((each) => {
    const [id = '', port] = each.split('=');
    return [id, Number(port)];
  }),
);
const broker = new Broker(values.id, ports, values.locks as LockRule);
for (const endMs = performance.now() + TOGETHER_MS; broker.reaches < ports.size - 1; await sleep(20)) {
  if (performance.now() > endMs) break;
}
createServer((socket) => new Channel(broker, socket)).listen(Number(values.port), '127.0.0.1', 511);
