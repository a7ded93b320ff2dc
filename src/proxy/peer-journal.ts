import { z } from 'zod';
import { historyEntry, keptEvent } from '../admin/journal-schemas.ts';
import type {
  EventListQuery,
  HistoryEntry,
  IncidentView,
  JournalBackend,
  KeptEvent,
} from '../admin/journal-views.ts';
import { BreakwaterError } from '../base/errors.ts';
import { shownId } from '../data-plane/shown-id.ts';
import type { DeviceHistory } from '../journal/device-history.ts';
import { type BreakwaterEvent, type EventKind, eventKinds } from '../journal/event.ts';
import {
  type Incident,
  type IncidentKind,
  incidentKinds,
  type MergedIncident,
  mergeIncidents,
} from '../journal/incident.ts';
import { incidentText } from '../journal/incident-text.ts';
import type { Incidents } from '../journal/incidents.ts';
import type { Journal } from '../journal/journal.ts';
import type { Others } from '../membership/other-proxies.ts';
import { registerPaged } from '../membership/paged-topic.ts';
import type { Topics } from '../membership/store/topics.ts';
import { whomOf } from '../migration/whom.ts';
import { type PeerEvents, withOverlap } from './peer-events.ts';

/** What all proxies of the cluster have kept: the same questions, answered by all together. */

const EVENTS_MAX = 1000;
const INCIDENTS_MAX = 200 * incidentKinds.length;
const HISTORY_MAX = 100;

const count = z.int().min(0);
const timeMs = z.number().min(0).max(8.64e15);
const kindNames = Object.keys(eventKinds) as [EventKind, ...EventKind[]];

const eventQuestion = z.object({
  kinds: z.array(z.enum(kindNames)).max(kindNames.length).readonly().optional(),
  node: z.string().max(64).optional(),
  client: z.string().max(512).optional(),
  since: z.object({ start: z.string().max(32), number: count, atMs: timeMs }).optional(),
  limit: z.int().min(1).max(EVENTS_MAX),
}) satisfies z.ZodType<EventListQuery>;

const incidentShape = z.object({
  ...{ number: count, kind: z.enum(incidentKinds), subject: z.string().max(4096) },
  ...{ fromMs: timeMs, lastMs: timeMs, isOver: z.boolean() },
  cause: z.string().max(1024).optional(),
  evidence: z.string().max(64).optional(),
  moves: z
    .array(z.tuple([z.string().max(64), count]).readonly())
    .max(4096)
    .readonly(),
  ...{ movesFromMs: timeMs, movesToMs: timeMs, failed: count, disconnected: count, count },
}) satisfies z.ZodType<Incident>;

interface JournalParts {
  readonly proxyId: string;
  readonly journal: Journal;
  readonly incidents: Pick<Incidents, 'list'>;
  readonly history: Pick<DeviceHistory, 'of'>;
  /** Of this proxy. @returns how to stop */
  readonly subscribe: (listener: (event: BreakwaterEvent, id: string) => void) => () => void;
  readonly peerEvents: PeerEvents;
  readonly topics: Topics;
  readonly others: Others;
}

export function createPeerJournal(parts: JournalParts) {
  const { proxyId, journal, incidents, history, subscribe, peerEvents, topics, others } = parts;

  function keptHere({ limit, since, ...filter }: EventListQuery): KeptEvent[] {
    const found = journal.read(filter, since);
    const wanted = since === undefined ? found.slice(-limit) : found.slice(0, limit);
    return wanted.map((entry) => ({ id: journal.idOf(entry), proxy: proxyId, ...entry.event }));
  }
  const historyHere = (key: string): HistoryEntry[] =>
    history.of(key).map((entry) => ({ ...entry, proxy: proxyId }));

  const askEvents = registerPaged(
    topics,
    others,
    { name: 'events', query: eventQuestion, item: keptEvent, itemsMax: EVENTS_MAX },
    keptHere,
  );
  const askIncidents = registerPaged(
    topics,
    others,
    { name: 'incidents', query: z.object({}), item: incidentShape, itemsMax: INCIDENTS_MAX },
    () => incidents.list(),
  );
  const askHistory = registerPaged(
    topics,
    others,
    {
      name: 'history',
      query: z.object({ key: z.string().max(512) }),
      item: historyEntry,
      itemsMax: HISTORY_MAX,
    },
    ({ key }) => historyHere(key),
  );

  return {
    async past({ client, ...query }) {
      const asked = { ...query, client: client && shownId(client) };
      const here = keptHere({ ...asked, since: withOverlap(asked.since), limit: Number.POSITIVE_INFINITY });
      const { events, missing } = await peerEvents.past(asked);
      return { events: inOrder([...here, ...events]), missing };
    },
    follow(reader) {
      const stopHere = subscribe((event, id) => reader.tell({ id, proxy: proxyId, ...event }));
      const stopElsewhere = peerEvents.follow(reader);
      return () => {
        stopHere();
        stopElsewhere();
      };
    },
    async events({ client, ...query }) {
      const asked = { ...query, client: client && shownId(client) };
      const { given, missing } = await askEvents(asked);
      // By its own word a proxy could take another's place.
      const elsewhere = [...given].flatMap(([proxy, events]) => events.map((event) => ({ ...event, proxy })));
      const all = inOrder([...keptHere(asked), ...elsewhere]);
      const { since, limit } = query;
      return { events: since === undefined ? all.slice(-limit) : all.slice(0, limit), missing };
    },
    async incidents({ kinds, node, beforeMs, limit }) {
      const { given, missing } = await askIncidents({});
      const known = [...given, [proxyId, incidents.list()] as const].flatMap(([proxy, list]) =>
        list.map((incident) => ({ proxy, incident })),
      );
      const found = mergeIncidents(known).filter(
        (incident) =>
          (kinds === undefined || kinds.includes(incident.kind)) &&
          (node === undefined || nodesOf(incident).includes(node)) &&
          (beforeMs === undefined || Math.floor(incident.fromMs) < beforeMs),
      );
      const page = found.slice(0, pageEnd(found, limit)).map(viewOf);
      return { incidents: page, next: found.length > page.length ? page.at(-1)?.from : undefined, missing };
    },
    async history(asked) {
      const key = historyKeyOf(asked);
      const { given, missing } = await askHistory({ key });
      const elsewhere = [...given].flatMap(([proxy, entries]) =>
        entries.map((entry) => ({ ...entry, proxy })),
      );
      const entries = inOrder([...historyHere(key), ...elsewhere]);
      if (entries.length === 0) throw unknown(asked, missing);
      return { clientId: shownId(asked), entries, missing };
    },
  } satisfies Pick<JournalBackend, 'past' | 'follow' | 'events' | 'incidents' | 'history'>;
}

/** What happened in one millisecond stands in the order of the proxies, and of each proxy in its own, whichever is asked. */
export function inOrder<E extends { readonly at: string; readonly proxy: string }>(all: readonly E[]): E[] {
  const compare = (a: string, b: string): number => (a < b ? -1 : a > b ? 1 : 0);
  return all.toSorted((a, b) => compare(a.at, b.at) || compare(a.proxy, b.proxy));
}

/** Under which a device is remembered: one that brought no client id by the number of its connection. */
export function historyKey(clientId: string, connection: number | undefined): string {
  return clientId === '' ? `\u0000${connection ?? ''}` : shownId(clientId);
}

function historyKeyOf(asked: string): string {
  const whom = whomOf(asked);
  return 'clientId' in whom ? historyKey(whom.clientId, undefined) : historyKey('', whom.connection);
}

function unknown(asked: string, missing: readonly string[]): BreakwaterError {
  const silent = missing.length === 0 ? '' : `; these proxies did not answer: ${missing.join(', ')}`;
  return new BreakwaterError(
    'CLIENT_UNKNOWN',
    `nothing is remembered of a device with client id ${JSON.stringify(asked.slice(0, 64))}${silent}`,
  );
}

/** A page ends where the time does: the next begins by it. */
function pageEnd(found: readonly MergedIncident[], limit: number): number {
  let end = limit;
  const timeAt = (at: number) => timeOf(found[at]?.fromMs ?? 0);
  while (end < found.length && timeAt(end) === timeAt(end - 1)) end++;
  return end;
}

const aboutNodes: readonly IncidentKind[] = ['node-lost', 'drain'];

function nodesOf({ kind, subject, moves }: MergedIncident): string[] {
  return [...(aboutNodes.includes(kind) ? [subject] : []), ...moves.map(([node]) => node)];
}

function viewOf(incident: MergedIncident): IncidentView {
  const { id, kind, subject, fromMs, lastMs, isOver, cause, evidence, moves, failed, disconnected } =
    incident;
  const moved = moves.reduce((sum, [, count]) => sum + count, 0);
  return {
    ...{ id, kind, summary: incidentText(incident), from: timeOf(fromMs) },
    ...(isOver && { to: timeOf(lastMs) }),
    ...subjectOf(kind, subject),
    ...{ cause, evidence, moved, failed, disconnected, proxies: incident.proxies },
    movedTo: moves.map(([node, count]) => ({ node, count })),
    ...(moved > 0 && { duration: Math.round(incident.movesToMs - incident.movesFromMs) / 1000 }),
    ...(kind === 'refusals' && { refused: incident.count }),
  };
}

function subjectOf(kind: IncidentKind, subject: string): Partial<IncidentView> {
  if (aboutNodes.includes(kind)) return { node: subject };
  if (kind === 'panic') return { pool: subject };
  if (kind === 'refusals') return { reason: subject };
  return subject === '' ? {} : { subject };
}

function timeOf(ms: number): string {
  return new Date(Math.floor(ms)).toISOString();
}
