import { z } from 'zod';
import type { CurrentConfig } from '../config/current.ts';
import { MAX_WAITING, type TracedPacket } from '../connection/packet-trace.ts';
import type { DeviceOrders } from '../data-plane/device-orders.ts';
import type { TraceAnswer, TraceOrder } from '../data-plane-api/trace.ts';
import type { Topics } from '../membership/store/topics.ts';

/** Traces of devices, at whichever proxy they are. */

const count = z.int().min(0);
const text = z.string().max(1024);

const orderShape = z.object({
  kind: z.enum(['begin', 'take', 'end']),
  connection: count,
  reader: z.string().max(64),
  payloads: z.boolean(),
}) satisfies z.ZodType<TraceOrder>;

const packetShape = z.object({
  atMs: z.number(),
  direction: z.enum(['from-device', 'to-device']),
  type: z.string().max(16),
  size: count,
  id: count.optional(),
  code: count.optional(),
  topic: text.optional(),
  qos: count.optional(),
  dup: z.boolean().optional(),
  retain: z.boolean().optional(),
  filters: z.array(text).max(16).optional(),
  payloadSize: count.optional(),
  payload: text.optional(),
}) satisfies z.ZodType<TracedPacket>;

const answerShape = z.object({
  state: z.enum(['open', 'absent', 'gone', 'relayed', 'busy', 'forbidden']),
  packets: z.array(packetShape).max(MAX_WAITING),
  dropped: count,
}) satisfies z.ZodType<TraceAnswer>;

/** Gives an order to the proxy that has the connection. @throws BreakwaterError THREAD_UNAVAILABLE, STORE_UNAVAILABLE */
export type OrderTrace = (proxy: string, order: TraceOrder) => Promise<TraceAnswer>;

export function createPeerTraces(
  current: CurrentConfig,
  proxyId: string,
  devices: Pick<DeviceOrders, 'trace'>,
  topics: Topics,
): OrderTrace {
  /** Whether payloads may be shown says the proxy that carries them. */
  const local = async (order: TraceOrder): Promise<TraceAnswer> =>
    order.payloads && order.kind !== 'end' && !current.config.admin.tracePayloads
      ? nothing('forbidden')
      : devices.trace(order);

  const ask = topics.register(
    { name: 'trace', question: orderShape, answer: answerShape },
    async (order): Promise<z.output<typeof answerShape>> => {
      const { state, packets, dropped } = await local(order);
      return {
        state,
        dropped,
        packets: packets.map(({ filters, ...rest }) => ({ ...rest, filters: filters && [...filters] })),
      };
    },
  );

  return async (proxy, order) => {
    if (proxy === proxyId) return local(order);
    const { given } = await ask(order, proxy);
    return given.get(proxy) ?? nothing('absent');
  };
}

function nothing(state: TraceAnswer['state']): TraceAnswer {
  return { state, packets: [], dropped: 0 };
}
