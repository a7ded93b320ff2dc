import { z } from 'zod';
import { shapes } from './records.ts';

/** What the memory store holds, as one process hands it to the next. Times are milliseconds that are left: clocks differ. */

const key = z.string().max(100_000);
const id = z.string().min(1).max(256);
const msLeft = z.number();

const nodes = z.object({
  nodes: z.array(shapes.node.extend({ late: z.boolean() })),
  decisions: z.array(z.tuple([id, shapes.decision])),
  leases: z.array(z.object({ id, endsInMs: msLeft, forgetInMs: msLeft })),
});
export type NodesState = z.output<typeof nodes>;

const places = z.object({
  /** The newest epoch. */
  last: z.int().min(0),
  places: z.array(z.object({ key, place: shapes.claim.omit({ pool: true, clientId: true }), msLeft })),
});
export type PlacesState = z.output<typeof places>;

const sessions = z.array(
  z.object({
    ...{ key, msLeft, connection: id },
    session: shapes.session.optional(),
    next: id.optional(),
  }),
);
export type SessionsState = z.output<typeof sessions>;

export const memoryState = z.object({
  ...{ nodes, places, sessions },
  bans: z.array(shapes.ban),
  shared: z.array(z.tuple([id, z.string().max(100_000)])),
});
export type MemoryState = z.output<typeof memoryState>;
