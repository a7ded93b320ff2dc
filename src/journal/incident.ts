/** Incidents: what belongs together of what has happened, as people speak of it. */

export const incidentKinds = [
  /** A node was lost, hangs, or is unhealthy; with what became of its devices. */
  'node-lost',
  /** Its sessions moved because it is drained, removed, or shuts down. */
  'drain',
  'rebalance',
  /** No node of a pool is healthy, and all of them are tried. */
  'panic',
  'store-outage',
  /** A proxy of the cluster vanished without taking its leave. */
  'proxy-lost',
  'thread-stuck',
  'thread-died',
  'thread-failing',
  /** Many devices were turned away for one reason. */
  'refusals',
  'reload-refused',
  'certificate',
] as const;
export type IncidentKind = (typeof incidentKinds)[number];

/** What one proxy knows of an incident. Times are in milliseconds since 1970. */
export interface Incident {
  readonly number: number;
  readonly kind: IncidentKind;
  /** What it is about: a node, a pool, a reason, a listener, a thread; empty where the kind says it all. */
  readonly subject: string;
  readonly fromMs: number;
  /** The last that belonged to it. */
  readonly lastMs: number;
  readonly isOver: boolean;
  readonly cause?: string | undefined;
  /** What showed that the node was gone. */
  readonly evidence?: string | undefined;
  /** Sessions that moved, and to where. */
  readonly moves: readonly (readonly [node: string, count: number])[];
  /** From the first loss to the end of the last move. */
  readonly movesFromMs: number;
  readonly movesToMs: number;
  /** Tries that no node took. */
  readonly failed: number;
  /** Devices that were disconnected by it. */
  readonly disconnected: number;
  /** Of refusals: how many. */
  readonly count: number;
}

/** What all proxies know of it. */
export interface MergedIncident extends Omit<Incident, 'number'> {
  /** By the proxy that it is of, or that came upon it first. */
  readonly id: string;
  readonly proxies: readonly string[];
}

/** Proxies see one incident so far apart at the most: they probe on their own, and their clocks differ. */
const APART_MS = 15_000;
/** What is each proxy's own, whatever happens at the others. */
const ofOneProxy: readonly IncidentKind[] = [
  'thread-stuck',
  'thread-died',
  'thread-failing',
  'reload-refused',
];

/** One list of what several proxies know, newest first. What they tell of one node at one time is one incident. */
export function mergeIncidents(known: readonly Known[]): MergedIncident[] {
  const merged: MergedIncident[] = [];
  /** The last ones of each subject, by their place in `merged`. */
  const lastOf = new Map<string, number>();
  for (const { proxy, incident } of known.toSorted(byBegin)) {
    const { kind, subject } = incident;
    const key = `${kind} ${subject} ${ofOneProxy.includes(kind) ? proxy : ''}`;
    const place = lastOf.get(key);
    const before = place === undefined ? undefined : merged[place];
    if (place !== undefined && before !== undefined && isSame(before, incident, proxy)) {
      merged[place] = together(before, incident, proxy);
      continue;
    }
    const { number, ...rest } = incident;
    lastOf.set(key, merged.length);
    merged.push({ ...rest, id: `${proxy}:${number}`, proxies: [proxy] });
  }
  return merged.sort((a, b) => b.fromMs - a.fromMs);
}

interface Known {
  readonly proxy: string;
  readonly incident: Incident;
}

/** What began in one millisecond stands in the order of the proxies, so that each of them tells the same. */
function byBegin(a: Known, b: Known): number {
  return a.incident.fromMs - b.incident.fromMs || (a.proxy < b.proxy ? -1 : a.proxy > b.proxy ? 1 : 0);
}

function isSame(before: MergedIncident, next: Incident, proxy: string): boolean {
  const endMs = before.isOver ? before.lastMs : Number.POSITIVE_INFINITY;
  return !before.proxies.includes(proxy) && next.fromMs <= endMs + APART_MS;
}

function together(before: MergedIncident, next: Incident, proxy: string): MergedIncident {
  const moves = new Map(before.moves);
  for (const [node, count] of next.moves) moves.set(node, (moves.get(node) ?? 0) + count);
  return {
    ...before,
    proxies: [...before.proxies, proxy],
    lastMs: Math.max(before.lastMs, next.lastMs),
    isOver: before.isOver && next.isOver,
    cause: before.cause ?? next.cause,
    evidence: before.evidence ?? next.evidence,
    moves: [...moves],
    movesFromMs: earliest(before.movesFromMs, next.movesFromMs),
    movesToMs: Math.max(before.movesToMs, next.movesToMs),
    failed: before.failed + next.failed,
    disconnected: before.disconnected + next.disconnected,
    count: before.count + next.count,
  };
}

/** 0 says that there is none. */
function earliest(a: number, b: number): number {
  return a === 0 || b === 0 ? Math.max(a, b) : Math.min(a, b);
}
