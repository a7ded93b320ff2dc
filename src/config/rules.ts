import { z } from 'zod';
import { choice, name, network, pattern } from './fields.ts';

export const ruleSchema = z
  .strictObject({
    when: z.strictObject({
      clientId: pattern().optional().meta({
        kind: 'regular expression',
        description: 'Matches the client id anywhere; anchor with `^` and `$`.',
      }),
      username: pattern().optional().meta({
        kind: 'regular expression',
        description: 'Matches the username likewise; a device without one does not match.',
      }),
      source: network()
        .optional()
        .meta({ kind: 'IP address or CIDR block', description: 'The device’s address, of IPv4 or IPv6.' }),
    }),
    pool: name()
      .optional()
      .meta({ kind: 'pool name', description: 'Where devices go that match. Give this or `reject`.' }),
    reject: choice(['not-authorized', 'banned', 'server-unavailable'])
      .optional()
      .describe(
        'Turn them away instead, with this reason in CONNACK (MQTT 5: 0x87, 0x8A, 0x88; MQTT 3: 5, 5, 3).',
      ),
  })
  .refine((rule) => (rule.pool === undefined) !== (rule.reject === undefined), {
    error: 'needs either pool or reject, and not both',
  })
  .refine((rule) => Object.values(rule.when).some((condition) => condition !== undefined), {
    path: ['when'],
    error: 'needs at least one of clientId, username and source',
  });
