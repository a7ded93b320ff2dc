import { z } from 'zod';
import { address, choice, name } from './fields.ts';
import { tlsProblem, tlsSchema } from './tls.ts';
import { websocketProblem, websocketSchema } from './websocket.ts';

export const listenerSchemes = ['mqtt', 'mqtts', 'ws', 'wss'] as const;
export const laterSchemes = ['http', 'https', 'tcp'] as const;

const listener = z.strictObject({
  url: address(listenerSchemes, laterSchemes).meta({
    kind: '`mqtt://host:port`, `mqtts://host:port`, `ws://host:port/path`, `wss://host:port/path`',
    description:
      'Address that devices connect to. Without a port it is 1883, with TLS (`mqtts`) 8883 (IANA), for WebSocket 8083, with TLS (`wss`) 8084 (as EMQX has them); 0 lets the system choose; `0.0.0.0` and `[::]` are all addresses of this machine. Two listeners cannot share one. `ws` and `wss` are MQTT over WebSocket, at the path `/mqtt` when none is given; with `*` at its end, as in `/mqtt/*`, at any that begins so.',
  }),
  mode: choice(['session', 'relay'])
    .default('session')
    .describe(
      'How connections are carried. `session` follows the MQTT packets, so that another node can take the session while the device stays connected; `relay` passes bytes through untouched after CONNECT.',
    ),
  pool: name()
    .default('default')
    .meta({ kind: 'pool name', description: 'Pool for devices that no rule sends elsewhere.' }),
  tls: tlsSchema.optional(),
  websocket: websocketSchema.optional(),
});

export const listenerSchema = listener.check(({ value, issues }) => {
  const problems = {
    tls: tlsProblem(value.url, value.tls),
    websocket: websocketProblem(value.url, value.websocket),
  };
  for (const [key, message] of Object.entries(problems))
    if (message !== undefined) issues.push({ code: 'custom', input: value, path: [key], message });
});
