/** Schema of the configuration's `listeners`, and which of their settings do not go together. */

import { z } from 'zod';
import { address, choice, name, network, optionalCount, serverReference } from './fields.ts';
import { tlsProblem, tlsSchema } from './tls.ts';
import { websocketProblem, websocketSchema } from './websocket.ts';

export const listenerSchemes = ['mqtt', 'mqtts', 'ws', 'wss', 'http', 'https', 'tcp'] as const;

export const MAX_LISTENERS = 64;

const listener = z.strictObject({
  url: address(listenerSchemes, []).meta({
    kind: '`mqtt://host:port`, `mqtts://host:port`, `ws://host:port/path`, `wss://host:port/path`, `http://host:port`, `https://host:port`, `tcp://host:port`',
    description:
      'Address that devices connect to. Without a port it is 1883, with TLS (`mqtts`) 8883 (IANA), for WebSocket 8083, with TLS (`wss`) 8084 (as EMQX has them), for `http` 80 and `https` 443; 0 lets the system choose; `0.0.0.0` and `[::]` are all addresses of this machine, `localhost` is 127.0.0.1. Two listeners cannot share one. `ws` and `wss` are MQTT over WebSocket, at the path `/mqtt` when none is given; with `*` at its end, as in `/mqtt/*`, at any that begins so. `http` and `https` pass requests on to the `http` nodes of its pool, WebSockets too. `tcp` is any protocol: its bytes are carried as they are.',
  }),
  mode: choice(['session', 'relay'])
    .default('session')
    .describe(
      'How connections are carried. `session` follows the MQTT packets, so that another node can take the session while the device stays connected; `relay` passes bytes through untouched after CONNECT. Of no meaning to `tcp`.',
    ),
  pool: name()
    .default('default')
    .meta({ kind: 'pool name', description: 'Pool for devices that no rule sends elsewhere.' }),
  maxConnections: optionalCount({
    min: 0,
    max: 1_000_000,
    unit: 'connections',
    about: 'Instead of `limits.maxConnectionsPerListener`, for this listener; 0 sets no limit.',
  }),
  connectRate: optionalCount({
    min: 0,
    max: 1_000_000,
    unit: 'connections per second',
    about: 'Instead of `limits.connectRate`, for this listener; 0 sets no limit.',
  }),
  tls: tlsSchema.optional(),
  websocket: websocketSchema.optional(),
  passthrough: choice(['tls'])
    .optional()
    .describe(
      'For `tcp` only. `tls`: devices speak TLS with the node itself; the server name in their first message counts for `sni` of rules, and what is no TLS is reset.',
    ),
  advertise: serverReference().optional().meta({
    kind: '`host` or `host:port`',
    description:
      'Where devices reach this listener themselves, past whatever balances before the proxies. MQTT 5 devices that another proxy of the cluster lets go are told it, at listeners of the same scheme: DISCONNECT 0x9C with a Server Reference. Without a port it is that of `url`. Leave it out where devices know only the address of a balancer.',
  }),
  neighbours: z.array(serverReference()).max(16, { error: 'must hold at most 16 servers' }).default([]).meta({
    kind: 'list of `host` and `host:port`',
    description:
      'Told instead of what other proxies `advertise`, to MQTT 5 devices that this proxy lets go: one of them for each device, by chance.',
  }),
  proxyProtocol: choice(['off', 'accept', 'require'])
    .default('off')
    .describe(
      'PROXY protocol header (version 1 or 2) of a proxy that stands before this one: who the device is. `require`: whoever is not one of `trustedProxies`, or sends no header, is reset. `accept`: a header is read from `trustedProxies` if there is one; the others are devices.',
    ),
  trustedProxies: z.array(network()).max(256, { error: 'must hold at most 256 networks' }).default([]).meta({
    kind: 'list of IP addresses and CIDR blocks',
    description:
      'Proxies whose headers are believed: that of the PROXY protocol, or without it, for `http` and `https`, their X-Forwarded-For, -Proto, -Host and Forwarded; of everyone else these are replaced. At most 256. Whoever may send a header chooses the address that rules, limits and logs see.',
  }),
});

export const listenerSchema = listener.check(({ value, issues }) => {
  const problems = {
    tls: tlsProblem(value.url, value.tls),
    websocket: websocketProblem(value.url, value.websocket),
    passthrough: passthroughProblem(value),
    trustedProxies: trustProblem(value),
    advertise: referenceProblem(value.url, value.advertise ?? []),
    neighbours: referenceProblem(value.url, value.neighbours),
  };
  for (const [key, message] of Object.entries(problems))
    if (message !== undefined) issues.push({ code: 'custom', input: value, path: [key], message });
});

function passthroughProblem({ url, passthrough }: z.output<typeof listener>): string | undefined {
  return passthrough === undefined || url.startsWith('tcp:')
    ? undefined
    : 'is for tcp listeners; leave it out';
}

function referenceProblem(url: string, given: string | readonly string[]): string | undefined {
  const references = [given].flat();
  if (references.length > 0 && /^(tcp|https?):/.test(url)) return 'is for devices of MQTT; leave it out';
  const hasPort = (reference: string) => /:\d+$/.test(reference.replace(/^\[.*\]/, ''));
  if (/:0(\/|$)/.test(url) && !references.every(hasPort))
    return 'needs a port, because the system chooses that of url';
  return undefined;
}

function trustProblem({ proxyProtocol, trustedProxies }: z.output<typeof listener>): string | undefined {
  if (proxyProtocol === 'off' || trustedProxies.length > 0) return undefined;
  return `is needed with proxyProtocol: ${proxyProtocol}: the addresses of the proxies that stand before this one, such as 10.0.0.0/24`;
}
