import { z } from 'zod';
import { type BreakwaterEvent, type EventKind, eventKinds } from '../journal/event.ts';
import { incidentKinds } from '../journal/incident.ts';
import { parseSince } from '../journal/journal.ts';
import type {
  ClientHistory,
  EventList,
  EventListQuery,
  HistoryEntry,
  IncidentList,
  IncidentQuery,
  IncidentView,
  KeptEvent,
} from './journal-views.ts';

/** What the admin API reads and answers with of what has happened, as schemas. */

const timestamp = z.string().meta({ format: 'date-time' });
const count = z.int().min(0);
const missing = z.array(z.string()).readonly().meta({ description: 'Proxies that live and did not answer.' });
const node = z.string().max(64).optional();
const kinds = Object.keys(eventKinds) as [EventKind, ...EventKind[]];
const types = Object.values(eventKinds).flatMap((kind) => [...kind.types] as BreakwaterEvent['type'][]);

/** One, or several with commas between. */
function listOf<Word extends string>(words: readonly Word[]) {
  const isWord = (text: string): text is Word => (words as readonly string[]).includes(text);
  return z
    .string()
    .max(1000)
    .transform((text, ctx) => {
      const given = text.split(',');
      const unknown = given.find((word) => !isWord(word));
      if (unknown === undefined) return given.filter(isWord);
      ctx.addIssue({
        code: 'custom',
        message: `must be of ${words.join(', ')}, not ${unknown.slice(0, 64)}`,
      });
      return z.NEVER;
    })
    .optional()
    .meta({ description: `Of ${words.join(', ')}; several with commas between.` });
}

export const eventQuery = z
  .strictObject({
    since: z
      .string()
      .max(64)
      .transform((text, ctx) => {
        const since = parseSince(text);
        if (since !== undefined) return since;
        ctx.addIssue({ code: 'custom', message: 'must be the id of an event, or a time as in RFC 3339' });
        return z.NEVER;
      })
      .optional()
      .meta({ description: 'Id of an event, or a time (RFC 3339): only what happened since.' }),
    kind: listOf(kinds),
    node: node.meta({ description: 'What happened to this node, at it, from it or to it.' }),
    client: z.string().max(65_535).optional().meta({ description: 'What happened to this client id.' }),
    limit: z.coerce.number().int().min(1).max(1000).default(500).meta({
      description: 'JSON only: with `since` the first of them, else the last ones.',
    }),
  })
  .transform(({ kind, ...rest }) => ({ kinds: kind, ...rest })) satisfies z.ZodType<EventListQuery>;

export const keptEvent = z
  .object({
    id: z.string().max(64).meta({ description: 'Where a reader goes on: `since`, or `Last-Event-ID`.' }),
    proxy: z.string().max(256),
    type: z.enum(types),
    at: timestamp,
  })
  .catchall(z.union([z.string(), z.number(), z.boolean()]).optional()) satisfies z.ZodType<KeptEvent>;

export const eventList = z.object({
  events: z.array(keptEvent).readonly().meta({ description: 'Of all proxies, oldest first.' }),
  missing,
}) satisfies z.ZodType<EventList>;

export const incidentQuery = z
  .strictObject({
    kind: listOf(incidentKinds),
    node,
    before: z.iso
      .datetime({ offset: true })
      .optional()
      .meta({ description: 'Only those that began earlier: `next` of the page before.' }),
    limit: z.coerce.number().int().min(1).max(500).default(50),
  })
  .transform(({ kind, before, ...rest }) => ({
    kinds: kind,
    beforeMs: before === undefined ? undefined : Date.parse(before),
    ...rest,
  })) satisfies z.ZodType<IncidentQuery>;

export const incidentView = z.object({
  id: z.string(),
  kind: z.enum(incidentKinds),
  summary: z.string().meta({
    example:
      'emqx-2 lost at 03:12:07: 334 sessions moved to emqx-1 (170) and emqx-3 (164) in 0.8 s, 0 disconnected, evidence refused',
  }),
  from: timestamp,
  to: timestamp.optional().meta({ description: 'Absent while it goes on.' }),
  node: z.string().optional(),
  pool: z.string().optional(),
  reason: z.string().optional().meta({ description: 'Why devices were turned away.' }),
  subject: z.string().optional().meta({ description: 'The thread or the listener that it is about.' }),
  cause: z.string().optional(),
  evidence: z.string().optional().meta({ description: 'What showed that the node was gone.' }),
  moved: count.meta({ description: 'Sessions that moved.' }),
  movedTo: z.array(z.object({ node: z.string(), count })).readonly(),
  duration: z.number().optional().meta({ description: 'Seconds from the first loss to the last move.' }),
  failed: count.meta({ description: 'Tries that no node took.' }),
  disconnected: count,
  refused: count.optional().meta({ description: 'Devices that were turned away.' }),
  proxies: z.array(z.string()).readonly().meta({ description: 'Those that tell of it.' }),
}) satisfies z.ZodType<IncidentView>;

export const incidentList = z.object({
  incidents: z.array(incidentView).readonly().meta({ description: 'Of all proxies, newest first.' }),
  next: timestamp.optional().meta({ description: '`before` of the next page; absent: there is none.' }),
  missing,
}) satisfies z.ZodType<IncidentList>;

export const historyEntry = z.object({
  proxy: z.string().max(256),
  at: timestamp,
  what: z.enum(['connected', 'moved', 'not-moved', 'refused', 'ended']),
  connection: count.optional(),
  node: z.string().max(64).optional(),
  from: z.string().max(64).optional().meta({ description: 'Of a move: the node that was left.' }),
  listener: z.string().max(4096).optional(),
  remoteAddress: z.string().max(64).optional(),
  protocolVersion: count.optional(),
  cause: z.string().max(64).optional(),
  evidence: z.string().max(64).optional(),
  reason: z.string().max(64).optional().meta({ description: 'Of a refusal or an end.' }),
  duration: z
    .number()
    .optional()
    .meta({ description: 'Seconds: of the move, or of the connection that has ended.' }),
  sessionPresent: z.boolean().optional(),
  bytesFromDevice: z.number().optional(),
  bytesToDevice: z.number().optional(),
}) satisfies z.ZodType<HistoryEntry>;

export const clientHistory = z.object({
  clientId: z.string(),
  entries: z.array(historyEntry).readonly().meta({ description: 'Of all proxies, oldest first.' }),
  missing,
}) satisfies z.ZodType<ClientHistory>;
