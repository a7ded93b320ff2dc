import type { DeviceEntry } from '../journal/device-history.ts';
import type { BreakwaterEvent, EventFilter, EventKind } from '../journal/event.ts';
import type { IncidentKind } from '../journal/incident.ts';
import type { Since } from '../journal/journal.ts';

/** What the admin API asks of the journal, and the shapes that it answers with. */

export interface EventQuery extends EventFilter {
  /** Only those behind this one, or from this time on. */
  readonly since?: Since | undefined;
}

export interface EventListQuery extends EventQuery {
  /** At most so many: with `since` the first of them, else the last ones. */
  readonly limit: number;
}

/** An event that is kept; its `id` is where a reader goes on. */
export interface KeptEvent {
  readonly id: string;
  readonly proxy: string;
  readonly type: BreakwaterEvent['type'];
  /** RFC 3339. */
  readonly at: string;
  readonly [detail: string]: string | number | boolean | undefined;
}

export interface EventList {
  /** Of all proxies, oldest first. */
  readonly events: readonly KeptEvent[];
  /** Proxies that live and did not answer. */
  readonly missing: readonly string[];
}

export interface IncidentQuery {
  readonly kinds?: readonly IncidentKind[] | undefined;
  readonly node?: string | undefined;
  /** Only those that began earlier: where the next page begins. Milliseconds since 1970. */
  readonly beforeMs?: number | undefined;
  readonly limit: number;
}

export interface IncidentView {
  readonly id: string;
  readonly kind: IncidentKind;
  /** All of it in one sentence. */
  readonly summary: string;
  /** RFC 3339. */
  readonly from: string;
  /** Absent while it goes on. */
  readonly to?: string | undefined;
  readonly node?: string | undefined;
  readonly pool?: string | undefined;
  /** Why devices were turned away. */
  readonly reason?: string | undefined;
  /** The thread, listener or pool that it is about, where it is no node. */
  readonly subject?: string | undefined;
  readonly cause?: string | undefined;
  /** What showed that the node was gone. */
  readonly evidence?: string | undefined;
  /** Sessions that moved. */
  readonly moved: number;
  readonly movedTo: readonly { readonly node: string; readonly count: number }[];
  /** Seconds from the first loss to the end of the last move. */
  readonly duration?: number | undefined;
  /** Tries that no node took. */
  readonly failed: number;
  readonly disconnected: number;
  /** Devices that were turned away. */
  readonly refused?: number | undefined;
  /** Those that tell of it. */
  readonly proxies: readonly string[];
}

export interface IncidentList {
  /** Of all proxies, newest first. */
  readonly incidents: readonly IncidentView[];
  /** `before` of the next page; absent: there is none. */
  readonly next?: string | undefined;
  readonly missing: readonly string[];
}

export interface HistoryEntry extends DeviceEntry {
  readonly proxy: string;
}

export interface ClientHistory {
  readonly clientId: string;
  /** Of all proxies, oldest first. */
  readonly entries: readonly HistoryEntry[];
  readonly missing: readonly string[];
}

/** Who asked for what by the admin API. */
export interface AuditRecord {
  readonly method: string;
  /** Without the query. */
  readonly path: string;
  readonly status: number;
  /** Whose token it came with; absent where nobody was let in. */
  readonly by?: string | undefined;
  readonly role?: string | undefined;
  readonly remoteAddress: string;
  /** Of the error that it was answered with. */
  readonly code?: string | undefined;
  /** What was asked for, as JSON, where it was done. */
  readonly change?: string | undefined;
  /** It was not allowed. */
  readonly isDenied: boolean;
  readonly node?: string | undefined;
  readonly client?: string | undefined;
}

/** How far the other proxies tell. */
export interface PeersTold {
  /** Proxies that live and do not answer: what happens there is told when they do. */
  readonly missing: readonly string[];
  /** Proxies at which more has happened than they keep: some of it is not told. */
  readonly cut: readonly string[];
}

/** Whoever follows the events of all proxies. */
export interface EventReader {
  /** The kinds that others are asked for; undefined: all. */
  kinds(): readonly EventKind[] | undefined;
  tell(event: KeptEvent): void;
  /** When it changes who does not answer, and whenever something is left out. */
  tellPeers(told: PeersTold): void;
}

export interface JournalBackend {
  /**
   * What all proxies keep behind `since`, oldest first. Behind an event, what other proxies told up to five seconds before it comes again.
   */
  past(query: EventQuery & { readonly since: Since }): Promise<EventList>;
  /** Tells what happens, at this proxy at once and at others within seconds, until the returned function is called. */
  follow(reader: EventReader): () => void;
  events(query: EventListQuery): Promise<EventList>;
  incidents(query: IncidentQuery): Promise<IncidentList>;
  /** Also of a device that has left. @throws BreakwaterError CLIENT_UNKNOWN where nothing is remembered */
  history(asked: string): Promise<ClientHistory>;
  audit(record: AuditRecord): void;
}
