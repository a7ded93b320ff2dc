import type { Clock } from '../base/time.ts';
import {
  type BreakwaterEvent,
  type EventFilter,
  type EventKind,
  eventKinds,
  kindOf,
  matches,
} from './event.ts';
import { Ring } from './ring.ts';

/** What has happened in this proxy, kept in memory. Adding an event costs the same however many are kept. */

/** An event that is kept. */
interface JournalEntry {
  readonly event: BreakwaterEvent;
  /** Grows by one with every event of this proxy. */
  readonly number: number;
  /** Milliseconds since 1970. */
  readonly atMs: number;
}

/** What is kept, as one process hands it to the next. */
interface JournalState {
  readonly start: string;
  readonly number: number;
  /** Oldest first. */
  readonly entries: JournalEntry[];
}

/** From where on: behind an event of this start of this proxy, or from a time on. */
export interface Since {
  readonly start: string;
  readonly number: number;
  /** When that was, in milliseconds since 1970. */
  readonly atMs: number;
}

/** Characters of one field: names are shorter, and no event is to hold a whole packet. */
const FIELD_MAX = 512;
const ID = /^([0-9a-z]{1,32})-(\d{1,15})-(\d{1,15})$/;
/** A date looks like an id of few events; ids end with a time of 13 digits. */
const DATE = /^\d{4}-\d\d-\d\d(?!\d)/;

/** An id or an RFC 3339 time; undefined: it is neither. */
export function parseSince(text: string): Since | undefined {
  if (DATE.test(text)) {
    const time = Date.parse(text);
    return Number.isNaN(time) ? undefined : { start: '', number: 0, atMs: time };
  }
  const [, start = '', number = '', atMs = ''] = ID.exec(text) ?? [];
  return start === '' ? undefined : { start, number: Number(number), atMs: Number(atMs) };
}

export class Journal {
  private readonly rings: ReadonlyMap<EventKind, Ring<JournalEntry>>;
  private start: string;
  private readonly clock: Clock;
  private number = 0;

  /** @param start of its own for each start of each proxy: 1 to 32 of 0-9 a-z. @param clock milliseconds since 1970 */
  constructor(start: string, clock: Clock) {
    this.start = start;
    this.clock = clock;
    const kinds = Object.keys(eventKinds) as EventKind[];
    this.rings = new Map(kinds.map((kind) => [kind, new Ring<JournalEntry>(eventKinds[kind].keep)]));
  }

  add(event: BreakwaterEvent): JournalEntry {
    const entry = { event: withShortFields(event), number: ++this.number, atMs: this.clock.now() };
    this.rings.get(kindOf(event))?.add(entry);
    return entry;
  }

  /** For the process after this one. */
  describe(): JournalState {
    return { start: this.start, number: this.number, entries: this.read({}) };
  }

  /** Goes on where the process before this one has stopped; to be called before anything is added. */
  restore({ start, number, entries }: JournalState): void {
    this.start = start;
    this.number = number;
    for (const entry of entries) this.rings.get(kindOf(entry.event))?.add(entry);
  }

  /** By which a reader goes on behind this event, here or at another proxy. */
  idOf({ number, atMs }: JournalEntry): string {
    return `${this.start}-${number}-${Math.floor(atMs)}`;
  }

  /** Behind all that has happened. */
  position(): Since {
    return { start: this.start, number: this.number, atMs: Math.floor(this.clock.now()) };
  }

  /** Whether more has happened behind this than is kept of one of these kinds; absent: of any. */
  hasForgotten(kinds: readonly EventKind[] | undefined, since: Since): boolean {
    return [...this.rings].some(([kind, ring]) => {
      if (kinds !== undefined && !kinds.includes(kind)) return false;
      return ring.lastDropped !== undefined && this.isBehind(ring.lastDropped, since);
    });
  }

  /** Oldest first. Behind an event of another proxy, or of an earlier start, its time decides. */
  read(filter: EventFilter, since?: Since): JournalEntry[] {
    const found: JournalEntry[] = [];
    for (const [kind, ring] of this.rings) {
      if (filter.kinds !== undefined && !filter.kinds.includes(kind)) continue;
      for (const entry of ring.newest()) {
        if (since !== undefined && !this.isBehind(entry, since)) break;
        if (matches(entry.event, filter)) found.push(entry);
      }
    }
    return found.sort((a, b) => a.number - b.number);
  }

  private isBehind({ number, atMs }: JournalEntry, since: Since): boolean {
    return since.start === this.start ? number > since.number : atMs >= since.atMs;
  }
}

function withShortFields(event: BreakwaterEvent): BreakwaterEvent {
  const isLong = (value: unknown): value is string => typeof value === 'string' && value.length > FIELD_MAX;
  if (!Object.values(event).some(isLong)) return event;
  const cut = Object.entries(event).map(([name, value]) => [
    name,
    isLong(value) ? `${value.slice(0, FIELD_MAX)}…` : value,
  ]);
  return Object.fromEntries(cut) as unknown as BreakwaterEvent;
}
