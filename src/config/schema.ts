import { z } from 'zod';
import { adminSchema } from './admin.ts';
import { choice, name } from './fields.ts';
import { limitsSchema } from './limits.ts';
import { listenerSchema, MAX_LISTENERS } from './listeners.ts';
import { membershipSchema } from './membership.ts';
import { poolSchema } from './pools.ts';
import { ruleSchema } from './rules.ts';

/** More than 64 data threads is more than one proxy can feed. */
const THREAD_COUNTS = Array.from({ length: 64 }, (_, index) => index + 1);

/**
 * The configuration file: one schema for validation, defaults and `docs/configuration.md`. It keeps the file's
 * words and units; `config.ts` turns them into the program's. Unknown keys are refused.
 */
export const documentSchema = z.strictObject({
  cluster: name()
    .default('default')
    .meta({ kind: 'name', description: 'Name of the cluster that this proxy belongs to.' }),
  proxy: z
    .strictObject({
      id: name().optional().meta({
        kind: 'name',
        description: 'Name of this proxy in lists and logs. Without one it is made from the host name.',
      }),
      threads: z
        .literal(['auto', ...THREAD_COUNTS], { error: "must be 'auto' or a whole number from 1 to 64" })
        .default('auto')
        .meta({
          kind: '`auto` or 1-64',
          description:
            'Data threads. `auto` chooses what the engine makes use of: one per core with `uring` and `epoll`, one with `node`.',
        }),
      engine: choice(['auto', 'uring', 'epoll', 'node'])
        .default('auto')
        .describe(
          'Code that owns the sockets. `auto` takes `uring` where that can be had and harms nothing (Linux 6.15, a process that may use io_uring), else `epoll` where it loads, else `node`; the log and `status` say why. `uring` by name needs Linux 6.1.',
        ),
    })
    .prefault({})
    .describe('This proxy.'),
  listeners: z
    .array(listenerSchema)
    .min(1, { error: 'must hold at least one listener' })
    .max(MAX_LISTENERS, { error: `must hold at most ${MAX_LISTENERS} listeners` })
    .prefault([{ url: 'mqtt://0.0.0.0:1883' }])
    .describe('Addresses that devices connect to; 1 to 64.'),
  pools: z
    .record(name(), poolSchema)
    .prefault({ default: {} })
    .describe('Named sets of nodes, each with one strategy, one persistence rule and one health check.'),
  rules: z
    .array(ruleSchema)
    .max(1000, { error: 'must hold at most 1000 rules' })
    .default([])
    .describe(
      'Conditions on a connection that choose a pool or reject; at most 1000. The first that matches decides; all conditions of one rule must hold.',
    ),
  membership: membershipSchema.prefault({}).describe('Which nodes and proxies exist.'),
  admin: adminSchema.prefault({}).describe('The admin API, which the command line and the dashboard use.'),
  limits: limitsSchema.prefault({}).describe('Bounds that keep one proxy in its memory.'),
  log: z
    .strictObject({
      level: choice(['debug', 'info', 'warn', 'error', 'silent'])
        .default('info')
        .describe(
          'Least severe level that is logged. `info` has one line when a device is placed and one when it ends.',
        ),
      format: choice(['json', 'pretty'])
        .default('json')
        .describe('`json` for machines, `pretty` for people at a terminal.'),
    })
    .prefault({})
    .describe('Logs go to standard output.'),
});

/** The file's content after validation, with every default filled in. */
export type Document = z.output<typeof documentSchema>;
