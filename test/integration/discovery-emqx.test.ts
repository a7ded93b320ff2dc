import { afterEach, expect, it } from 'vitest';
import type { EmqxDiscoveryConfig } from '../../src/config/config.ts';
import { createDiscovery } from '../../src/membership/discovery/index.ts';
import { listenTo } from '../support/discovery.ts';
import { KEY, SECRET, startEmqxApi } from '../support/emqx-api.ts';
import { until } from '../support/wait.ts';

const stops: (() => unknown)[] = [];
afterEach(() => Promise.all(stops.splice(0).map((stop) => stop())));

async function discover(hosts: readonly string[], config: Partial<EmqxDiscoveryConfig> = {}) {
  const emqx = await startEmqxApi(hosts);
  const heard = listenTo(
    createDiscovery(
      {
        kind: 'emqx',
        url: emqx.url,
        key: KEY,
        secret: SECRET,
        scheme: 'mqtt',
        port: 1883,
        intervalMs: 20,
        ...config,
      },
      'default',
    ),
  );
  stops.push(heard.stop, emqx.stopAll);
  return { emqx, cluster: emqx.cluster, heard };
}

const one = 'emqx@127.0.0.1 mqtt://127.0.0.1:1883 10';
const two = 'emqx@127.0.0.2 mqtt://127.0.0.2:1883 10';

it('finds nodes by TLS where it is told to', async () => {
  const { heard } = await discover(['127.0.0.1'], { scheme: 'mqtts', port: 8883 });
  await heard.until(['emqx@127.0.0.1 mqtts://127.0.0.1:8883 10']);
});

it('takes every node of the cluster, with the MQTT port that it is given', async () => {
  const { heard } = await discover(['127.0.0.1', '127.0.0.2'], { port: 1884 });
  await heard.until([one.replace('1883', '1884'), two.replace('1883', '1884')]);
  expect(heard.told[0]?.[0]).toEqual({
    spec: { id: 'emqx@127.0.0.1', pool: 'default', url: 'mqtt://127.0.0.1:1884', weight: 10, source: 'emqx' },
    draining: false,
  });
});

it('drains nodes that stop, evacuate or are donors of a rebalance, and forgets one that left the cluster', async () => {
  const { cluster, heard } = await discover(['127.0.0.1', '127.0.0.2']);
  await heard.until([one, two]);
  cluster.nodes['127.0.0.2'] = 'stopped';
  await heard.until([one, `${two} draining`]);
  cluster.nodes['127.0.0.2'] = 'running';
  await heard.until([one, two]);
  cluster.evacuating = ['127.0.0.1'];
  await heard.until([`${one} draining`, two]);
  cluster.evacuating = [];
  cluster.donors = ['127.0.0.2'];
  await heard.until([one, `${two} draining`]);
  cluster.donors = [];
  await heard.until([one, two]);
  delete cluster.nodes['127.0.0.2'];
  await heard.until([one]);
  cluster.nodes['127.0.0.3'] = 'running'; // its API does not answer
  await heard.until([one, 'emqx@127.0.0.3 mqtt://127.0.0.3:1883 10']);
  expect(heard.faults).toEqual([]);
});

it('believes the availability check of each node, and the last one of a node that no longer answers', async () => {
  const { emqx, cluster, heard } = await discover(['127.0.0.1', '127.0.0.2']);
  await heard.until([one, two]);
  cluster.trouble = (request, response) => {
    const atTwo = request.headers.host?.startsWith('127.0.0.2');
    if (request.url?.endsWith('availability_check')) response.writeHead(atTwo ? 503 : 200).end('{}');
    else if (request.url?.endsWith('nodes'))
      response.end(
        JSON.stringify(['1', '2'].map((n) => ({ node: `emqx@127.0.0.${n}`, node_status: 'running' }))),
      );
    else response.end('{"evacuations":[],"purges":[],"rebalances":[]}');
  };
  await heard.until([one, `${two} draining`]);
  await emqx.stop('127.0.0.2');
  const asked = emqx.requests.length;
  await until(() => emqx.requests.length > asked + 6, 'more questions');
  expect([heard.told.length, heard.now()]).toEqual([2, [one, `${two} draining`]]);
});

it('gives its key to the configured address only', async () => {
  const { emqx, heard } = await discover(['127.0.0.1', '127.0.0.2']);
  await heard.until([one, two]);
  expect(emqx.requests.slice(0, 4).sort()).toEqual([
    '127.0.0.1/api/v5/load_rebalance/availability_check',
    '127.0.0.1/api/v5/load_rebalance/global_status with key',
    '127.0.0.1/api/v5/nodes with key',
    '127.0.0.2/api/v5/load_rebalance/availability_check',
  ]);
});

it('works with an EMQX without rebalancing', async () => {
  const { cluster, emqx, heard } = await discover(['127.0.0.1']);
  cluster.rebalance = false;
  cluster.nodes['127.0.0.2'] = 'stopped';
  await heard.until([one, `${two} draining`]);
  const asked = emqx.requests.length;
  await until(() => emqx.requests.length > asked + 3, 'more questions');
  expect(heard.faults).toEqual([]);
});

it('says clearly that the key is wrong, once, and without the secret', async () => {
  const { emqx, heard } = await discover(['127.0.0.1'], { secret: 'hunter2' });
  await until(() => emqx.requests.length > 4, 'two questions');
  expect(heard.faults).toEqual([
    `EMQX API ${emqx.url}: it refuses the key or its secret (401 BAD_API_KEY_OR_SECRET)`,
  ]);
  expect(heard.told).toEqual([]);
});

const json = (status: number, body: unknown) => (_: unknown, response: import('node:http').ServerResponse) =>
  void response.writeHead(status).end(typeof body === 'string' ? body : JSON.stringify(body));

it.each([
  [
    'a refusal',
    json(403, { code: 'UNAUTHORIZED_ROLE', message: SECRET }),
    /the key may not read .* \(403 UNAUTHORIZED_ROLE\)$/,
  ],
  ['an error', json(500, 'oops'), /answered 500$/],
  ['another server', json(404, ''), /is this the API of an EMQX 5\?$/],
  ['garbage', json(200, '<html>'), /did not answer as EMQX 5 does$/],
  ['other JSON', json(200, [{ node: 'emqx' }]), /did not answer as EMQX 5 does$/],
  ['no nodes', json(200, []), /(it lists no node|did not answer as EMQX 5 does)$/],
  ['a flood', json(200, `["${'x'.repeat(5_000_000)}"]`), /failed \(UND_ERR_RES_EXCEEDED_MAX_SIZE\)$/],
  [
    'a reset',
    (request: import('node:http').IncomingMessage) => void request.socket.destroy(),
    /failed \(UND_ERR_SOCKET\)$/,
  ],
  ['silence', () => {}, /no answer within 1000 ms$/],
])('keeps the last answer at %s', async (_what, trouble, fault) => {
  const { cluster, heard } = await discover(['127.0.0.1']);
  await heard.until([one]);
  cluster.trouble = trouble;
  await heard.untilFault();
  expect([heard.faults, heard.now()]).toEqual([[expect.stringMatching(fault)], [one]]);
  expect(heard.faults[0]).not.toContain(SECRET);
  cluster.trouble = undefined;
  cluster.nodes['127.0.0.2'] = 'stopped';
  await heard.until([one, `${two} draining`]);
  cluster.trouble = json(500, '');
  await heard.untilFault(2);
});

it('keeps the last answer while the API is away', async () => {
  const { emqx, heard } = await discover(['127.0.0.1']);
  await heard.until([one]);
  await emqx.stopAll();
  await heard.untilFault();
  expect([heard.faults[0], heard.now()]).toEqual([
    expect.stringMatching(/GET .* failed \((ECONN|UND_ERR)/),
    [one],
  ]);
});
