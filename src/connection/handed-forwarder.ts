/** How a session is forwarded, as a plain value: the formats of `SessionForwarder` and its parts. */

import { z } from 'zod';
import { maybe } from '../base/handed-shapes.ts';
import { handedSession } from '../session/handed-session.ts';
import { moveCauses } from './connection-host.ts';
import { evidences } from './evidence.ts';

const count = z.int().min(0);
/** What has passed, or is left; of a look that is late it is negative. */
const ms = z.number();

/** Where the session is; with `move`, where it was: then it has no link, which is -1. */
const attachment = z.strictObject({ node: z.string(), link: z.int().min(-1), attachedAgoMs: ms });

/** The re-attachment under way: a `Move`. */
const moving = z.strictObject({
  cause: z.enum(moveCauses),
  evidence: maybe(z.enum(evidences)),
  rounds: count,
  startedAgoMs: ms,
  adriftAgoMs: ms,
});

/** One of the last re-attachments: a `MigrationResult`. */
const move = z.strictObject({
  cause: z.enum(moveCauses),
  evidence: maybe(z.enum(evidences)),
  from: z.string(),
  to: maybe(z.string()),
  durationMs: ms,
  agoMs: ms,
  sessionPresent: z.boolean(),
});

/** Of the class `SessionUpstream`. */
const upstream = z
  .strictObject({
    at: attachment,
    move: maybe(moving),
    /** Where the session is; the pool of the connection may be another one, which is gone. */
    pool: z.string(),
    spoken: z.boolean(),
    /** Ids of nodes. */
    copies: z.array(z.string()),
    straysMs: z.array(ms),
    history: z.array(move),
  })
  .refine(({ at, move }) => at.link < 0 === (move !== undefined));

const monitor = z.strictObject({
  deviceSpoke: z.boolean(),
  toldNode: z.boolean(),
  heard: count,
  quietLooks: count,
  untoldLooks: count,
  heardAtLook: z.int().min(-1),
  heardAtCheck: z.int().min(-1),
  lookInMs: ms,
  checkEndsInMs: ms,
});

const meter = z.strictObject({ freeInMs: ms, messagesFullInMs: ms, bytesFullInMs: ms });
const flow = z.strictObject({ holdsDevice: z.boolean(), isPaused: z.boolean(), meter: maybe(meter) });
const deaths = z.strictObject({ origin: z.string(), isSudden: z.boolean() });

/** Of the class `SessionForwarder`. */
export const handedSessionForwarder = z
  .strictObject({
    kind: z.literal('session'),
    session: handedSession,
    upstream,
    /** While a node serves. */
    monitor: maybe(monitor),
    flow,
    deaths,
    leaving: z.boolean(),
    closeMode: z.enum(['reset', 'goodbye', 'flush']),
    purges: z.boolean(),
  })
  .refine(({ session, upstream, monitor }) => {
    const isDetached = upstream.move !== undefined;
    return session.state.isDetached === isDetached && (monitor === undefined) === isDetached;
  });

export type HandedAttachment = z.output<typeof attachment>;
export type HandedMove = z.output<typeof move>;
export type HandedMoving = z.output<typeof moving>;
export type HandedUpstream = z.output<typeof upstream>;
export type HandedMonitor = z.output<typeof monitor>;
export type HandedMeter = z.output<typeof meter>;
export type HandedFlow = z.output<typeof flow>;
export type HandedDeaths = z.output<typeof deaths>;
export type HandedSessionForwarder = z.output<typeof handedSessionForwarder>;
