import { z } from 'zod';
import { address, choice, name } from './fields.ts';
import { tlsProblem, tlsSchema } from './tls.ts';

const listener = z.strictObject({
  url: address(['mqtt', 'mqtts'], ['ws', 'wss', 'http', 'https', 'tcp']).meta({
    kind: '`mqtt://host:port`, `mqtts://host:port`',
    description:
      'Address that devices connect to. Port 1883, with TLS (`mqtts`) 8883, when none is given (IANA); 0 lets the system choose; `0.0.0.0` and `[::]` are all addresses of this machine. Two listeners cannot share one.',
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
});

export const listenerSchema = listener.check(({ value, issues }) => {
  const problem = tlsProblem(value.url, value.tls);
  if (problem !== undefined) issues.push({ code: 'custom', input: value, path: ['tls'], message: problem });
});
