import { z } from 'zod';
import { address, choice, count, seconds, text } from './fields.ts';

/** Keys that only one of the two kinds has. */
const own = { dns: ['srv', 'family', 'resolver'], emqx: ['key', 'secret'] } as const;

/** Only the origin: the paths of the API are known, and credentials have keys of their own. */
function parseApiUrl(value: string): void {
  const url = URL.canParse(value) ? new URL(value) : undefined;
  if (url === undefined || value.includes('@')) {
    throw new Error('must look like http://10.0.0.1:18083, with the credentials in key and secret');
  }
  if (url.pathname !== '/' || url.search !== '' || url.hash !== '')
    throw new Error('must end after host and port');
}

/** One mapping for both kinds, so that the reference lists their keys side by side; `dns` or `emqx` says which it is. */
export const discoverySchema = z
  .strictObject({
    dns: text(253)
      .regex(/^[A-Za-z0-9_]([A-Za-z0-9_.-]*[A-Za-z0-9_.])?$/, {
        error: 'must be a host name, without scheme or port',
      })
      .optional()
      .meta({
        kind: 'host name',
        description:
          'Every address of this name is a node. Give this or `emqx`. While the name does not resolve, the last answer holds.',
      }),
    srv: z.boolean({ error: 'must be true or false' }).optional().meta({
      description:
        'Ask for SRV records: host, port and weight come from them, of the lowest priority only. Otherwise A and AAAA.',
    }),
    family: z.literal([4, 6], { error: 'must be 4 or 6' }).optional().meta({
      kind: '`4` or `6`',
      description:
        'Take IPv4 or IPv6 addresses only. Without it IPv6 addresses count only when there is no IPv4: a broker with both is one node.',
    }),
    resolver: text()
      .regex(/^(\[[0-9a-fA-F:.]+\]|\d+\.\d+\.\d+\.\d+):\d{1,5}$/, { error: 'must look like 127.0.0.1:53' })
      .refine((value) => URL.canParse(`http://${value}`), { error: 'is not an IP address and a port' })
      .optional()
      .meta({
        kind: '`address:port`',
        description:
          'DNS server to ask instead of the system’s. The hosts file and search domains are then not used.',
      }),
    emqx: address(['http', 'https'], [], parseApiUrl).optional().meta({
      kind: '`http://host:port`',
      description:
        'HTTP API of an EMQX 5 node: every node of its cluster is a node here, draining while it is stopped or evacuated. Give this or `dns`.',
    }),
    key: text(256)
      .optional()
      .meta({ kind: 'text', description: 'API key for `emqx`, made in its dashboard.' }),
    secret: text(1024).optional().meta({
      kind: 'text',
      description: 'Secret of that key; better taken from the environment, see above.',
    }),
    scheme: choice(['mqtt', 'mqtts', 'http', 'https'])
      .default('mqtt')
      .describe(
        'How the nodes are reached: `mqtts` is by TLS, mostly at port 8883; `http` and `https` are their HTTP side (EMQX: 18083), for the pool of an HTTP listener.',
      ),
    port: count({
      min: 1,
      max: 65_535,
      default: 1883,
      unit: 'port',
      about: 'Port of the nodes; SRV records bring their own.',
    }),
    interval: seconds({
      min: 0.2,
      max: 3600,
      default: 5,
      about: 'Between two questions. At 5 a scaled cluster is followed within 10 s.',
    }),
  })
  .check((ctx) => {
    const { value } = ctx;
    const complain = (path: string[], message: string) =>
      ctx.issues.push({ code: 'custom', input: value, path, message });
    if ((value.dns === undefined) === (value.emqx === undefined)) {
      complain([], 'needs either dns or emqx, and not both');
      return;
    }
    const [kind, other] = value.dns === undefined ? (['emqx', 'dns'] as const) : (['dns', 'emqx'] as const);
    for (const key of own[other]) if (value[key] !== undefined) complain([key], `does not go with ${kind}`);
    if (kind === 'emqx')
      for (const key of own.emqx) if (value[key] === undefined) complain([key], 'is required');
  });
