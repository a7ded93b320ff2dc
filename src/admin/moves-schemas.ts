import { z } from 'zod';
import type {
  MovesView,
  ProxyDrainRequest,
  ProxyDrainView,
  ProxyRebalanceRequest,
  ProxyRebalanceView,
} from './backend.ts';

/** How far sessions have moved to other nodes, and devices have left for other proxies, as schemas. */

const count = z.int().min(0);

export const movesView = z.object({
  state: z.enum(['off', 'moving', 'blocked', 'done']).meta({
    description:
      '`blocked`: nothing that is left can be moved now, by relay mode or because no node takes it; a drain goes on trying.',
  }),
  moved: count,
  failed: count.meta({ description: 'Tries that failed, and devices that were disconnected instead.' }),
  left: count.meta({ description: 'Still to go.' }),
  rate: z.number().meta({ description: 'Sessions a second that may move.' }),
  pace: z.number().meta({ description: 'Sessions a second that moved of late.' }),
  timeLeft: z.number().optional().meta({ description: 'Seconds at this pace.' }),
}) satisfies z.ZodType<MovesView>;

export const proxyDrainView = movesView.extend({ proxy: z.string() }) satisfies z.ZodType<ProxyDrainView>;

export const proxyRebalanceView = movesView.extend({
  proxies: z.array(z.string()).readonly().meta({ description: 'Those that take devices.' }),
  tolerance: z.number(),
  spread: z.number().meta({
    description: 'Between the fullest and the emptiest proxy, in parts of the mean.',
  }),
}) satisfies z.ZodType<ProxyRebalanceView>;

const devicesPerSecond = z.number().min(0.1).max(100_000);

export const proxyDrainRequest = z
  .strictObject({
    rate: devicesPerSecond.optional().meta({ description: 'Devices a second that leave; 100.' }),
    within: z.number().min(1).max(86_400).optional().meta({
      description: 'Instead of a rate: those that are there leave within so many seconds.',
    }),
    delay: z.number().min(0).max(3_600).optional().meta({
      description: 'Seconds in which the proxy is not ready and nobody leaves yet; 5.',
    }),
  })
  .refine(
    ({ rate, within }) => rate === undefined || within === undefined,
    'give rate or within, not both',
  ) satisfies z.ZodType<ProxyDrainRequest>;

export const proxyRebalanceRequest = z.strictObject({
  rate: devicesPerSecond.optional().meta({ description: 'Devices a second, over all proxies; 100.' }),
  tolerance: z.number().min(0).max(10).optional().meta({
    description: 'Part of the mean by which the fullest and the emptiest proxy may differ; 0.1.',
  }),
}) satisfies z.ZodType<ProxyRebalanceRequest>;
