import type { Clock } from '../base/time.ts';
import type { BreakwaterEvent } from './event.ts';
import { type Incident, type IncidentKind, incidentKinds } from './incident.ts';
import { lossReasons } from './loss-reasons.ts';
import { Ring } from './ring.ts';

/** Groups events into incidents, as they happen. Each event costs the same, however many incidents there are. */

/** Of each kind. */
const KEEP = 200;
/** When nothing has been added for so long, what comes next is another incident. */
const QUIET_MS = 15_000;
/** Refusals are told a minute at a time. */
const REFUSALS_QUIET_MS = 90_000;
/** Fewer in a minute are what strangers on the internet do all day. */
const REFUSALS_MIN = 10;
/** Connections that their node ended just before it was known to be lost belong to its loss. */
const BEFORE_MS = 3_000;
/** More nodes than a routing table holds. */
const NODES_MAX = 4096;

type Growing = { -readonly [Field in keyof Omit<Incident, 'moves' | 'isOver'>]: Incident[Field] } & {
  readonly movesTo: Map<string, number>;
  /** It goes on until its end is told; else until it is quiet. */
  lasts: boolean;
};

/** What is kept, as one process hands it to the next; of each kind the oldest first. */
interface IncidentsState {
  readonly number: number;
  readonly incidents: (Omit<Growing, 'movesTo'> & { readonly movesTo: [node: string, count: number][] })[];
  /** Nodes that are. */
  readonly unhealthy: string[];
}

export class Incidents {
  private readonly rings = new Map<IncidentKind, Ring<Growing>>();
  /** The newest of each kind and subject; what is over stays until the next one, at most as many as are kept. */
  private readonly latest = new Map<string, Growing>();
  /** Connections that nodes ended of late. */
  private readonly recentEnds = new Map<string, { count: number; fromMs: number }>();
  /** Devices that no node took, and the node that they had lost: they end at another one that was asked. */
  private readonly failedFrom = new Map<string, string>();
  private readonly unhealthy = new Set<string>();
  private readonly clock: Clock;
  private readonly onBegin: (kind: IncidentKind, subject: string) => void;
  private number = 0;

  /** @param clock milliseconds since 1970 */
  constructor(clock: Clock, onBegin: (kind: IncidentKind, subject: string) => void = () => {}) {
    this.clock = clock;
    this.onBegin = onBegin;
    for (const kind of incidentKinds) this.rings.set(kind, new Ring(KEEP));
  }

  /** For the process after this one. */
  describe(): IncidentsState {
    const all = [...this.rings.values()].flatMap((ring) => ring.list());
    const incidents = all.map(({ movesTo, ...rest }) => ({ ...rest, movesTo: [...movesTo] }));
    return { number: this.number, incidents, unhealthy: [...this.unhealthy] };
  }

  /** Goes on where the process before this one has stopped; to be called before anything is observed. */
  restore({ number, incidents, unhealthy }: IncidentsState): void {
    this.number = number;
    for (const { movesTo, ...rest } of incidents) {
      const incident = { ...rest, movesTo: new Map(movesTo) };
      this.rings.get(incident.kind)?.add(incident);
      this.latest.set(keyOf(incident.kind, incident.subject), incident);
    }
    for (const node of unhealthy) this.unhealthy.add(node);
  }

  /** Newest first. */
  list(): Incident[] {
    const nowMs = this.clock.now();
    const all = [...this.rings.values()].flatMap((ring) => ring.list());
    return all
      .sort((a, b) => b.fromMs - a.fromMs || b.number - a.number)
      .map((incident) => {
        const { movesTo, lasts: _, ...known } = incident;
        return { ...known, moves: [...movesTo], isOver: this.isOver(incident, nowMs) };
      });
  }

  observe(event: BreakwaterEvent): void {
    switch (event.type) {
      case 'reattached':
        return this.moved(event);
      case 'ended':
        if (lossReasons.has(event.reason)) this.ended(event);
        return;
      case 'node-lost': {
        const lost = this.join('node-lost', textOf(event.node));
        lost.evidence ??= textOf(event.evidence);
        lost.cause ??= textOf(event.detail);
        return;
      }
      case 'node-health':
        return this.flipped(textOf(event.node), event.health === 'unhealthy', textOf(event.cause));
      case 'node-removed':
        return void this.unhealthy.delete(textOf(event.node));
      case 'panic':
        return this.lasting('panic', textOf(event.pool), event.state === 'began', event.cause);
      case 'store':
        return this.lasting('store-outage', '', event.state === 'down', event.cause);
      case 'proxy-lost':
        if (event.state === 'lost')
          this.join('proxy-lost', textOf(event.peer), true).cause = `${event.connections} devices were there`;
        return;
      case 'thread':
        return this.thread(event);
      case 'refusals':
        return this.refused(textOf(event.reason), Number(event.count));
      case 'reload':
        if (event.result !== 'ok') this.join('reload-refused', '', true).cause = textOf(event.cause);
        return;
      case 'certificate':
        if (event.state !== 'changed')
          this.join('certificate', textOf(event.subject), true).cause = textOf(event.cause);
        return;
      default:
    }
  }

  private moved({ cause, evidence, from, to, duration, clientId }: BreakwaterEvent): void {
    const kind = kindOfMove(cause, evidence);
    if (kind === undefined) return;
    const nowMs = this.clock.now();
    const incident = this.join(kind, kind === 'rebalance' ? '' : textOf(from));
    if (kind === 'node-lost') {
      incident.cause ??= textOf(cause);
      if (evidence !== undefined) incident.evidence ??= textOf(evidence);
    }
    if (to === undefined) {
      incident.failed++;
      this.failedFrom.set(textOf(clientId), textOf(from));
      dropOldest(this.failedFrom, NODES_MAX);
      return;
    }
    const node = textOf(to);
    incident.movesTo.set(node, (incident.movesTo.get(node) ?? 0) + 1);
    const beganMs = nowMs - Number(duration) * 1000;
    incident.movesFromMs = incident.movesFromMs === 0 ? beganMs : Math.min(incident.movesFromMs, beganMs);
    incident.movesToMs = nowMs;
    incident.fromMs = Math.min(incident.fromMs, beganMs);
  }

  private ended({ node: at, clientId }: BreakwaterEvent): void {
    const node = this.failedFrom.get(textOf(clientId)) ?? textOf(at);
    this.failedFrom.delete(textOf(clientId));
    const nowMs = this.clock.now();
    const incident = this.latest.get(keyOf('node-lost', node));
    if (incident !== undefined && !this.isOver(incident, nowMs)) {
      incident.disconnected++;
      incident.lastMs = nowMs;
      return;
    }
    const recent = this.recentEnds.get(node);
    if (recent !== undefined && nowMs - recent.fromMs < BEFORE_MS) recent.count++;
    else {
      this.recentEnds.delete(node); // so that the oldest is the first
      this.recentEnds.set(node, { count: 1, fromMs: nowMs });
      dropOldest(this.recentEnds, NODES_MAX);
    }
  }

  private flipped(node: string, isUnhealthy: boolean, cause: string): void {
    if (!isUnhealthy) {
      const known = this.latest.get(keyOf('node-lost', node));
      if (this.unhealthy.delete(node) && known !== undefined) known.lastMs = this.clock.now();
      return;
    }
    this.unhealthy.add(node);
    this.join('node-lost', node).cause = cause;
  }

  /** An incident with a beginning and an end that are told. */
  private lasting(kind: IncidentKind, subject: string, begins: boolean, cause: unknown): void {
    const known = this.latest.get(keyOf(kind, subject));
    if (!begins) {
      if (known === undefined || !known.lasts) return;
      known.lasts = false;
      known.lastMs = this.clock.now();
      return;
    }
    if (known?.lasts) return;
    const incident = this.join(kind, subject, true);
    incident.lasts = true;
    if (cause !== undefined) incident.cause = textOf(cause);
  }

  private thread({ thread, state, cause }: BreakwaterEvent): void {
    const subject = String(thread);
    if (state === 'died') {
      this.lasting('thread-stuck', subject, false, undefined);
      this.join('thread-died', subject, true).cause = textOf(cause);
    } else if (state === 'stuck' || state === 'answers')
      this.lasting('thread-stuck', subject, state === 'stuck', cause);
    else this.lasting('thread-failing', subject, state === 'failing', cause);
  }

  private refused(reason: string, count: number): void {
    const known = this.latest.get(keyOf('refusals', reason));
    const goesOn = known !== undefined && !this.isOver(known, this.clock.now());
    if (!goesOn && count < REFUSALS_MIN && reason !== 'no-node') return;
    this.join('refusals', reason).count += count;
  }

  /** The incident that goes on, or another one; `alone`: always another one. */
  private join(kind: IncidentKind, subject: string, alone = false): Growing {
    const nowMs = this.clock.now();
    const key = keyOf(kind, subject);
    const known = this.latest.get(key);
    if (!alone && known !== undefined && !this.isOver(known, nowMs)) {
      known.lastMs = nowMs;
      return known;
    }
    const recent = kind === 'node-lost' ? this.recentEnds.get(subject) : undefined;
    const disconnected = recent !== undefined && nowMs - recent.fromMs < BEFORE_MS ? recent.count : 0;
    this.recentEnds.delete(subject);
    const incident: Growing = {
      ...{ number: ++this.number, kind, subject, fromMs: nowMs, lastMs: nowMs, lasts: false },
      ...{ movesTo: new Map(), movesFromMs: 0, movesToMs: 0, failed: 0, disconnected, count: 0 },
    };
    this.latest.delete(key);
    this.latest.set(key, incident);
    dropOldest(this.latest, KEEP * incidentKinds.length);
    this.rings.get(kind)?.add(incident);
    this.onBegin(kind, subject);
    return incident;
  }

  private isOver({ kind, subject, number, lastMs, lasts }: Growing, nowMs: number): boolean {
    if (lasts) return false;
    const isLatest = this.latest.get(keyOf(kind, subject))?.number === number;
    if (kind === 'node-lost' && isLatest && this.unhealthy.has(subject)) return false;
    if (!grows.includes(kind)) return true;
    return nowMs - lastMs > (kind === 'refusals' ? REFUSALS_QUIET_MS : QUIET_MS);
  }
}

/** What may still be added to, while it is not quiet. */
const grows: readonly IncidentKind[] = ['node-lost', 'drain', 'rebalance', 'refusals'];

function kindOfMove(cause: unknown, evidence: unknown): IncidentKind | undefined {
  if (cause === 'drain' || cause === 'removed' || cause === 'node-leaving') return 'drain';
  if (cause === 'rebalance') return 'rebalance';
  if (cause === 'move') return undefined; // of one device, by a person: the audit has it
  if (evidence === 'configured' || evidence === 'own-connect') return undefined; // nothing is wrong with the node
  return evidence === 'leaving' || evidence === 'removed' ? 'drain' : 'node-lost';
}

function keyOf(kind: IncidentKind, subject: string): string {
  return `${kind} ${subject}`;
}

function textOf(value: unknown): string {
  return value === undefined ? '' : String(value);
}

function dropOldest<Key>(map: Map<Key, unknown>, max: number): void {
  if (map.size <= max) return;
  const [oldest] = map.keys();
  map.delete(oldest as Key);
}
