/** Schema of the configuration's `pools`: nodes, strategy, health checks and how nodes are connected to. */

import { z } from 'zod';
import { MAX_CONNECTIONS_MAX, MAX_NODES, WEIGHT_DEFAULT, WEIGHT_MAX, WEIGHT_MIN } from '../nodes/node.ts';
import { defaultNodeId, parseNodeUrl, parseProbeUrl } from '../nodes/url.ts';
import type { StrategyName } from '../policy/balance/index.ts';
import type { V2Fields } from '../protocol/proxy-protocol/encode.ts';
import { discoverySchema } from './discovery.ts';
import { address, choice, count, ipAddress, name, seconds, text } from './fields.ts';
import { httpUpstreamSchema } from './http.ts';
import { persistenceSchema } from './persistence.ts';
import { upstreamTlsSchema } from './upstream-tls.ts';

const strategyNames = [
  'round-robin',
  'least-connections',
  'source-hash',
  'client-id-hash',
] as const satisfies readonly StrategyName[];

/** By the words of the configuration: vectors of the PROXY protocol, version 2. */
export const v2Fields = {
  alpn: 'alpn',
  authority: 'authority',
  'tls-version': 'tlsVersion',
  'tls-cipher': 'cipher',
  'client-cn': 'clientCn',
  'unique-id': 'uniqueId',
  chained: 'chained',
  crc32c: 'crc32c',
} as const satisfies Readonly<Record<string, keyof V2Fields>>;
const v2FieldNames = Object.keys(v2Fields) as [keyof typeof v2Fields, ...(keyof typeof v2Fields)[]];

const nodeSchema = z
  .strictObject({
    id: name().optional().meta({
      kind: 'name',
      description: 'Unique over all pools. Without one: the host and port of `url`, such as `10.0.0.1:1883`.',
    }),
    url: address(['mqtt', 'mqtts', 'http', 'https', 'tcp'], ['ws', 'wss'], parseNodeUrl).meta({
      kind: '`mqtt://host:port`, `mqtts://host:port`, `http://host:port`, `https://host:port`, `tcp://host:port`',
      description:
        'Where the broker accepts MQTT (`mqtts`: by TLS, see `upstream.tls`), HTTP (`https`: likewise) for the pool of an `http` or `https` listener, or anything for that of a `tcp` listener; the nodes of one pool are of one kind. The host may be a name; port 1883 for `mqtt`, 8883 for `mqtts`, 80 for `http`, 443 for `https`, when none is given.',
    }),
    weight: count({
      min: WEIGHT_MIN,
      max: WEIGHT_MAX,
      default: WEIGHT_DEFAULT,
      unit: 'relative share',
      about:
        'A node of weight 20 gets twice the devices of one of weight 10. The default leaves room both ways.',
    }),
    maxConnections: count({
      min: 0,
      max: MAX_CONNECTIONS_MAX,
      default: 0,
      unit: 'connections',
      about:
        'At one time, of all proxies together as far as they have told each other; what is more goes to the next node of the pool. 0 sets no limit.',
    }),
    probeUrl: address(['http', 'https', 'mqtt', 'mqtts', 'tcp'], [], parseProbeUrl).optional().meta({
      kind: 'URL (`http`, `https`, `mqtt`, `mqtts`, `tcp`)',
      description: 'Where probes go when not to `url` itself, such as the broker’s status page.',
    }),
  })
  .refine(({ id, url }) => id !== undefined || defaultNodeId(parseNodeUrl(url)).length <= 64, {
    path: ['id'],
    error: 'is required, because the host and port of url are longer than 64 characters',
  });

const healthSchema = z.strictObject({
  probe: choice(['tcp', 'http', 'mqtt'])
    .default('tcp')
    .describe(
      'How a node is probed: `tcp` connects, `http` asks for status 200 at `path`, `mqtt` exchanges CONNECT, CONNACK and DISCONNECT. `tcp` works with every broker.',
    ),
  interval: seconds({
    min: 2,
    max: 60,
    default: 5,
    about:
      'Between two probes of one node. Failing dials isolate a dead node without waiting for it, so 5 is often enough.',
  }),
  timeout: seconds({
    min: 5,
    max: 300,
    default: 5,
    about: 'A probe without an answer for so long has failed. Probes of one node never overlap.',
  }),
  unhealthyThreshold: count({
    min: 2,
    max: 10,
    default: 3,
    unit: 'probes',
    about: 'So many failures in a row make a node unhealthy: one lost probe is no failure.',
  }),
  healthyThreshold: count({
    min: 2,
    max: 10,
    default: 2,
    unit: 'probes',
    about: 'So many successes in a row make it healthy again: a node that is still starting is left alone.',
  }),
  path: text()
    .regex(/^\/[^\s#]*$/, { error: "must begin with '/' and hold no space or '#'" })
    .default('/')
    .meta({ kind: 'path', description: 'Of the `http` probe, where `probeUrl` has no path of its own.' }),
});

const upstream = z.strictObject({
  connectTimeout: seconds({
    min: 0.1,
    max: 60,
    default: 3,
    about:
      'For one link to a node to open, TLS included: long enough for one lost SYN (sent again after 1 s).',
  }),
  connackTimeout: seconds({
    min: 0.1,
    max: 60,
    default: 5,
    about:
      'From the connect to the node’s CONNACK: brokers may ask an authentication service first. A node that gives another sign of life meanwhile is slow, not gone, and has `connackDeadline`; so has the last node that may be asked, because a refusal would help nobody.',
  }),
  connackDeadline: seconds({
    min: 1,
    max: 600,
    default: 120,
    about:
      'For the CONNACK of a node that lives: in a cluster it may have to wait for a node that hangs (EMQX: 10 to 90 s). Devices mostly give up before.',
  }),
  attempts: count({
    min: 1,
    max: 20,
    default: 5,
    unit: 'nodes',
    about: 'At most so many nodes are tried for one device, then it is told "server unavailable".',
  }),
  deadline: seconds({
    min: 1,
    max: 120,
    default: 15,
    about:
      'For all attempts together: devices commonly give up after 20 to 30 seconds. What a living node takes for its CONNACK is not counted.',
  }),
  connectRate: count({
    min: 0,
    max: 100_000,
    default: 0,
    unit: 'connections a second',
    about:
      'New devices at one node, by this proxy; a tenth of a second’s worth may come at once. What is more waits for its turn. In a slow start it grows with the node’s share, so that a node that is up again is not stormed. 0 sets no limit.',
  }),
  connectQueue: count({
    min: 1,
    max: 100_000,
    default: 1000,
    unit: 'devices',
    about:
      'That wait for their turn at one node at one time, under `connectRate`; what is more goes to the next node, and is refused where all have so many waiting.',
  }),
  reattachDeadline: seconds({
    min: 1,
    max: 300,
    default: 20,
    about:
      'Session mode: a device whose node is lost keeps its connection for so long while another is sought; then it is told to go.',
  }),
  reattachConnackDeadline: seconds({
    min: 1,
    max: 300,
    default: 40,
    about:
      'Session mode: as `connackDeadline`, for a node that is asked for a session. EMQX closes such a connection after 30 s when the node that has the session hangs.',
  }),
  silenceTimeout: seconds({
    min: 1,
    max: 60,
    default: 5,
    about:
      'Session mode: a node that hangs (accepts, but answers no PINGREQ) is found within this time, and another one asked for its sessions.',
  }),
  silenceDeadline: seconds({
    min: 1,
    max: 3600,
    default: 180,
    about:
      'Session mode: a device whose node hangs keeps its connection for so long while no other node accepts its session; then it is told to go. The node may go on at any time, and nothing is lost then.',
  }),
  takeoverFiresWill: z
    .boolean()
    .default(true)
    .describe(
      'Session mode: whether a node publishes the Will when another node of its cluster takes the session over, as the standard has it. `false` for EMQX before 5.6, which publishes none: then a session with a Will moves whole. Where it is `true`, such a session says goodbye to its node before it moves on purpose.',
    ),
  leaveFirst: z
    .boolean()
    .default(false)
    .describe(
      'Session mode: whether every session says goodbye to its node before it moves on purpose, as one with a Will does. For clusters whose nodes do not take sessions over whole, such as RabbitMQ: what a session had at the node that it leaves would stay there.',
    ),
  lostLink: choice(['evidence', 'move', 'pass'])
    .default('evidence')
    .describe(
      'Session mode: what becomes of a session whose link its node ended. `evidence`: it moves to another node where something shows that its own is gone; the end of a link to a node that lives is its broker’s word (a kick, a ban, a packet that it does not take) and goes on to the device. `move`: it always moves, for nodes that drop links for no reason. `pass`: the end always goes on to the device, which then connects again.',
    ),
  proxyProtocol: choice(['none', 'v1', 'v2'])
    .default('none')
    .describe(
      'PROXY protocol header that begins every connection to a node, and every probe of it, so that the node knows the device’s own address. The node must expect it. `v1` is one line of text; `v2` can say more.',
    ),
  proxyProtocolTlvs: z
    .array(choice(v2FieldNames))
    .max(v2FieldNames.length, { error: 'must not name anything twice' })
    .default([...v2FieldNames])
    .meta({
      kind: 'list of words',
      description:
        'What `v2` says besides addresses; all of it unless some are named, `[]` for nothing, which receivers with small buffers need (nginx before 1.23.2). Of the device’s TLS: `alpn`, `authority` (SNI), `tls-version`, `tls-cipher`, `client-cn` (common name of the verified client certificate). Of the connection: `unique-id` (its address and time), `crc32c` (checksum of the header), `chained` (what the header of a proxy before this one told, but for what TLS at this proxy has found out itself).',
    }),
  http: httpUpstreamSchema.prefault({}).describe('For `http` nodes.'),
  tls: upstreamTlsSchema.optional(),
  sourceAddresses: z
    .array(ipAddress())
    .max(64, { error: 'must hold at most 64 addresses' })
    .default([])
    .describe(
      'Addresses of this machine to dial nodes from, in turn; at most 64. Each brings its own 28,000 ports or so for one node; with none, the system chooses one.',
    ),
  transparent: z
    .boolean()
    .default(false)
    .describe(
      'Dial nodes from the device’s own address, so that they see it as their peer. Linux, engine `epoll` or `uring`, capability CAP_NET_ADMIN; the nodes must route devices’ addresses through this machine, and this machine must take what they answer (see operations). A device is served by nodes of its own IP family only.',
    ),
});

const upstreamSchema = upstream.check(({ value, issues }) => {
  if (!value.transparent || value.sourceAddresses.length === 0) return;
  const message =
    'has no meaning beside transparent: nodes are dialled from the devices’ addresses; leave one out';
  issues.push({ code: 'custom', input: value, path: ['sourceAddresses'], message });
});

export const poolSchema = z.strictObject({
  strategy: choice(strategyNames)
    .default('least-connections')
    .describe(
      'How nodes are ordered for one device, best first. `least-connections` also evens out after a node was away.',
    ),
  persistence: persistenceSchema.prefault({}),
  slowStart: seconds({
    min: 0,
    max: 600,
    default: 10,
    about:
      'A node that returns, or joins while running, grows from 1 % to its full share in so long, so that it is not stormed; 0 is at once.',
  }),
  health: healthSchema.prefault({}),
  upstream: upstreamSchema.prefault({}),
  nodes: z
    .array(nodeSchema)
    .max(MAX_NODES, { error: `must hold at most ${MAX_NODES} nodes` })
    .default([])
    .describe(
      'The brokers; at most 1024 in all pools together. More can be added while running (`breakwater node add`).',
    ),
  discovery: z
    .array(discoverySchema)
    .max(16, { error: 'must hold at most 16 discoveries' })
    .default([])
    .describe('Where nodes come from by themselves, besides `nodes`; at most 16.'),
});
