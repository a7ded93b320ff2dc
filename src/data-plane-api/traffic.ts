/**
 * Where workers count what devices send and receive: one place for each listener and node slot, of four numbers each. Each
 * worker has its own, so that counting is one addition; the main thread adds them up.
 */

import { MAX_NODES } from '../nodes/node.ts';

/** What each place counts, in this order. Engines count the bytes, sessions the PUBLISH packets. */
const trafficCells = [
  'bytesFromDevice',
  'bytesToDevice',
  'publishesFromDevice',
  'publishesToDevice',
] as const;
export type Traffic = Readonly<Record<(typeof trafficCells)[number], number>>;

const CELLS = trafficCells.length;

/** Numbers of one worker; the first place is that of connections that no node has yet, and is read by nobody. */
export function trafficLength(listeners: number): number {
  return CELLS * (1 + listeners * MAX_NODES);
}

/** Where a connection of this listener is counted while the node of this slot serves it. */
export function trafficPlace(listener: number, slot: number): number {
  return CELLS * (1 + listener * MAX_NODES + slot);
}

/** @param counts of each worker */
export function trafficAt(counts: readonly Float64Array[], listener: number, slot: number): Traffic {
  const place = trafficPlace(listener, slot);
  const sum = (cell: number) => counts.reduce((total, of) => total + (of[place + cell] ?? 0), 0);
  return {
    bytesFromDevice: sum(0),
    bytesToDevice: sum(1),
    publishesFromDevice: sum(2),
    publishesToDevice: sum(3),
  };
}

/** Begins anew for another listener, or another node, at a number where nobody is counted any more. */
export function clearTraffic(counts: readonly Float64Array[], listener: number, slot: number): void {
  const place = trafficPlace(listener, slot);
  for (const of of counts) of.fill(0, place, place + CELLS);
}
