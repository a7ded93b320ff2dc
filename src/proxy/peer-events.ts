import { z } from 'zod';
import { keptEvent } from '../admin/journal-schemas.ts';
import type { EventList, EventQuery, EventReader, KeptEvent } from '../admin/journal-views.ts';
import type { Clock, Timers } from '../base/time.ts';
import { type EventKind, eventKinds } from '../journal/event.ts';
import type { Journal, Since } from '../journal/journal.ts';
import type { Others } from '../membership/other-proxies.ts';
import type { PeerAnswers, Topics } from '../membership/store/topics.ts';

/** What happens at the other proxies, asked for over and over while somebody follows the events here. */

/** Between two questions: what happens elsewhere is told this much later. */
const ASK_MS = 1_000;
/** Where a proxy has more to tell than one answer holds. */
const MORE_MS = 50;
/** Whoever is asked counts the asker as a reader for so long. */
const AUDIENCE_MS = 5_000;
/** Of one answer: its JSON is at most half of what proxies take from each other. */
const ANSWER_EVENTS_MAX = 1_000;
const ANSWER_CHARACTERS_MAX = 256 * 1024;
/** Answers of each proxy, when a reader asks for what has happened. */
const PAST_ROUNDS_MAX = 64;
/**
 * A reader that goes on behind an event of one proxy has been told those of others up to a moment before, by clocks that differ: so
 * much of theirs is told again, and known by its id.
 */
const OVERLAP_MS = 5_000;

const count = z.int().min(0);
const kindNames = Object.keys(eventKinds) as [EventKind, ...EventKind[]];
const sinceShape = z.object({
  start: z.string().max(32),
  number: count,
  atMs: z.number().min(0).max(8.64e15),
});

const questionShape = z.object({
  kinds: z.array(z.enum(kindNames)).max(kindNames.length).readonly().optional(),
  node: z.string().max(64).optional(),
  client: z.string().max(512).optional(),
  /** What each proxy told last. */
  behind: z.array(z.tuple([z.string().max(256), sinceShape])).max(1024),
  /** From where on the others tell. */
  others: sinceShape,
});

const answerShape = z.object({
  events: z.array(keptEvent).max(ANSWER_EVENTS_MAX),
  /** Where the next question goes on. */
  at: sinceShape,
  isMore: z.boolean(),
  /** More has happened than is kept. */
  isCut: z.boolean(),
});

type Question = z.output<typeof questionShape>;
type Answer = z.output<typeof answerShape>;

interface PeerEventParts {
  readonly proxyId: string;
  readonly journal: Pick<Journal, 'read' | 'idOf' | 'position' | 'hasForgotten'>;
  readonly topics: Topics;
  readonly others: Others;
  readonly timers: Timers;
  /** Milliseconds since 1970. */
  readonly clock: Clock;
  /** Single devices are told of for so long. */
  readonly listen: (ms: number) => void;
}

export function createPeerEvents(parts: PeerEventParts) {
  const { proxyId, journal, topics, others, timers, clock, listen } = parts;

  function answer({ behind, others: rest, ...filter }: Question): Answer {
    listen(AUDIENCE_MS);
    const since = behind.find(([proxy]) => proxy === proxyId)?.[1] ?? rest;
    const found = journal.read(filter, since);
    const events: KeptEvent[] = [];
    let characters = 0;
    for (const entry of found) {
      const event = { id: journal.idOf(entry), proxy: proxyId, ...entry.event };
      characters += JSON.stringify(event).length;
      if (events.length === ANSWER_EVENTS_MAX || (events.length > 0 && characters > ANSWER_CHARACTERS_MAX))
        break;
      events.push(event);
    }
    const isMore = events.length < found.length;
    const last = isMore ? found[events.length - 1] : undefined;
    const at = { ...journal.position(), ...(last && { number: last.number, atMs: last.atMs }) };
    return { events, at, isMore, isCut: journal.hasForgotten(filter.kinds, since) };
  }
  const ask = topics.register(
    { name: 'events-behind', question: questionShape, answer: answerShape },
    answer,
  );

  /** Asks all others once, each behind what it told last. */
  async function askOnce(
    told: Map<string, Since>,
    question: Omit<Question, 'behind'>,
  ): Promise<PeerAnswers<Answer>> {
    const answers = await others.askAvailable(ask, { ...question, behind: [...told] });
    for (const [proxy, { at }] of answers.given) told.set(proxy, at);
    return answers;
  }

  return {
    /** What the others keep behind `since`, in no order. */
    async past({ since, ...filter }: EventQuery & { readonly since: Since }): Promise<EventList> {
      const told = new Map<string, Since>();
      const events: KeptEvent[] = [];
      const silent = new Set<string>();
      const question = { ...filter, others: withOverlap(since) };
      for (let round = 0; round < PAST_ROUNDS_MAX; round++) {
        const { given, missing } = await askOnce(told, question);
        for (const proxy of missing) silent.add(proxy);
        events.push(...eventsOf(given));
        if (![...given.values()].some(({ isMore }) => isMore)) break;
      }
      return { events, missing: [...silent].sort() };
    },

    /**
     * Tells the reader what happens from now on, by this clock, until the returned function is called. What happens before another proxy has
     * heard the first question is told too, but for single devices, of which nobody takes note while there is no reader.
     */
    follow(reader: EventReader): () => void {
      const told = new Map<string, Since>();
      const began: Since = { start: '', number: 0, atMs: clock.now() };
      let isOver = false;
      let timer: unknown;
      let lastMissing = '';

      async function look(): Promise<void> {
        const kinds = reader.kinds();
        const { given, missing } = await askOnce(told, { kinds, others: began });
        if (isOver) return;
        for (const event of eventsOf(given)) reader.tell(event);
        const cut = [...given].filter(([, { isCut }]) => isCut).map(([proxy]) => proxy);
        if (cut.length > 0 || missing.join() !== lastMissing) reader.tellPeers({ missing, cut });
        lastMissing = missing.join();
        const isMore = [...given.values()].some((each) => each.isMore);
        timer = timers.setTimeout(() => void look(), isMore ? MORE_MS : ASK_MS);
      }

      void look();
      return () => {
        isOver = true;
        timers.clearTimeout(timer);
      };
    },
  };
}

export type PeerEvents = ReturnType<typeof createPeerEvents>;

export function withOverlap(since: Since): Since {
  return since.start === '' ? since : { ...since, atMs: Math.max(0, since.atMs - OVERLAP_MS) };
}

/** By its own word a proxy could take another's place. */
function eventsOf(given: ReadonlyMap<string, Answer>): KeptEvent[] {
  return [...given].flatMap(([proxy, { events }]) => events.map((event) => ({ ...event, proxy })));
}
