import { z } from 'zod';
import { endReasons } from '../connection/connection-host.ts';
import {
  ACCEPTED,
  CONNECTS,
  DIALS,
  DOUBLES_PER_THREAD,
  ENDED,
  MESSAGES,
  PACKET_TYPES,
  REJECTED,
  rejectReasons,
  type Table,
  type TableWriter,
  threadCounters,
} from './routing-table.ts';
import { trafficPlace } from './traffic.ts';

/** What the processes of a proxy before this one have counted: counters go on where they were, as if it were one process. */

const count = z.number().min(0);
const side = z.union([z.literal(0), z.literal(1)]);
const histogram = z.object({ bounds: z.array(count), counts: z.array(count), sum: count });

/** By names, because another version may have others. */
export const totals = z.object({
  counters: z.array(z.tuple([z.string(), count])),
  rejected: z.array(z.tuple([z.string(), count])),
  ended: z.array(z.tuple([z.string(), count])),
  messages: z.array(z.tuple([side, z.int().min(0).max(PACKET_TYPES), count])),
  ...{ dials: histogram, connects: histogram },
  /** By the keys of listeners. */
  accepted: z.array(z.tuple([z.string(), count])),
  /** What was sent and received, by listener and node, as `trafficCells` has them. */
  traffic: z.array(z.tuple([z.string(), z.string(), z.array(count).length(4)])),
  /** Links opened, by node. */
  links: z.array(z.tuple([z.string(), count])),
});
type Totals = z.output<typeof totals>;

interface Named {
  readonly key: string;
  readonly index: number;
}

const sides = [0, 1] as const;

export function describeTotals(
  table: TableWriter,
  listeners: readonly Named[],
  nodes: readonly string[],
): Totals {
  const types = Array.from({ length: PACKET_TYPES }, (_, type) => type);
  const traffic = listeners.flatMap(({ key, index }) =>
    nodes.flatMap((node): Totals['traffic'] => {
      const at = table.trafficAt(node, index);
      if (at === undefined || Object.values(at).every((value) => value === 0)) return [];
      const { bytesFromDevice, bytesToDevice, publishesFromDevice, publishesToDevice } = at;
      return [[key, node, [bytesFromDevice, bytesToDevice, publishesFromDevice, publishesToDevice]]];
    }),
  );
  const histogramOf = ({ bounds, counts, sum }: ReturnType<TableWriter['dials']>) => ({
    ...{ bounds: [...bounds], counts: [...counts], sum },
  });
  return {
    counters: threadCounters.filter((name) => name !== 'devices').map((name) => [name, table.counter(name)]),
    rejected: rejectReasons.map((reason) => [reason, table.rejected(reason)]),
    ended: endReasons.map((reason) => [reason, table.ended(reason)]),
    messages: sides.flatMap((from) =>
      types.map((type): Totals['messages'][number] => [from, type, table.messages(from, type)]),
    ),
    ...{ dials: histogramOf(table.dials()), connects: histogramOf(table.connects()) },
    accepted: listeners.map(({ key, index }) => [key, table.accepted(index)]),
    traffic,
    links: nodes.map((id) => [id, table.connectsAt(id)]),
  };
}

/**
 * Adds them to what this process counts, in the stripe of the table that no thread writes.
 * @param indexOf of a listener, by its key
 */
export function restoreTotals(
  table: Table,
  writer: Pick<TableWriter, 'slotAt'>,
  indexOf: (key: string) => number | undefined,
  known: Totals,
): void {
  const stripe = table.threads - 1;
  const { doubles } = table;
  const add = (place: number, value: number): void => {
    const at = stripe * DOUBLES_PER_THREAD + place;
    doubles[at] = (doubles[at] ?? 0) + value;
  };
  const addNamed = (
    first: number,
    names: readonly string[],
    entries: readonly (readonly [string, number])[],
  ) => {
    for (const [name, value] of entries) if (names.includes(name)) add(first + names.indexOf(name), value);
  };
  addNamed(0, threadCounters, known.counters);
  addNamed(REJECTED, rejectReasons, known.rejected);
  addNamed(ENDED, endReasons, known.ended);
  for (const [from, type, value] of known.messages) add(MESSAGES + from * PACKET_TYPES + type, value);
  for (const [first, { counts, sum }] of [
    [DIALS, known.dials],
    [CONNECTS, known.connects],
  ] as const)
    for (const [bucket, value] of [...counts, sum].entries()) add(first + bucket, value);
  for (const [key, value] of known.accepted) {
    const index = indexOf(key);
    if (index !== undefined) add(ACCEPTED + index, value);
  }
  for (const [key, node, values] of known.traffic) {
    const [index, slot] = [indexOf(key), writer.slotAt(node)];
    if (index === undefined || slot === undefined) continue;
    const place = trafficPlace(index, slot);
    const own = table.traffic[stripe] as Float64Array;
    for (const [cell, value] of values.entries()) own[place + cell] = (own[place + cell] ?? 0) + value;
  }
  for (const [node, value] of known.links) {
    const slot = writer.slotAt(node);
    if (slot !== undefined) Atomics.add(table.connects, slot, value | 0);
  }
}
