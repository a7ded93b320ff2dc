import { deserialize, serialize } from 'node:v8';
import { z } from 'zod';
import type { Language } from './channel.ts';

/**
 * What the two processes of an upgrade say to each other. `old` is the process that runs, `new` the one that it has started:
 *
 *   new ─ hello ──────► old      which protocols it speaks, and what it can read
 *   new ◄─ state ────── old      what the new one starts with, and the lines to older processes; or `refuse`
 *   new ─ ready ──────► old      configuration, certificates, store and nodes are there
 *   new ◄─ listeners ── old      with the listening sockets
 *   new ─ listening ──► old      it accepts devices; the old one accepts none from now on
 *   new ◄─ batch ────── old      connections, which stand still at both from here, and a token ...
 *   new ─ taken ──────► old      ... to here: they are the new one's, but those that it does not take; or `late`
 *   new ◄─ done ─────── old      nothing more comes: the new one speaks for the proxy
 *   new ─ over ───────► old
 *
 * Whoever takes the token has the batch. Where the new one does not take it in time, because it hangs or is stopped, the old one does: the batch
 * goes on there, and the new one says `late` to it when it goes on, and is offered others. Where that takes too long too, or the new one has
 * taken the token and not answered, the old one kills it first, and then looks whether it had said `taken`: what it had is lost with it,
 * and the old one goes on with all the rest. So no connection is gone on with twice, and none stands still for ever.
 * Where the new one cannot go on it says `abort`, and ends. Where the old one ends, the new one goes on with all that it was
 * given, answered or not, since nobody else has it. Where the old one is stopped the new one waits: it serves what it has and whoever
 * comes meanwhile, and an old process that goes on again still has the others.
 *
 * Behind `over` there are no messages. The new one keeps its end, and leaves it to the process after it, as long as the proxy runs: the old one,
 * which may still have devices, hears by its end that there is no proxy any more. It says by one byte that it has got a SIGHUP.
 *
 * The two may run on different versions of Node.js. The new process speaks in JSON, which each of them reads. The old one has bytes and what JSON
 * has no word for, and says it in the format of V8 (`node:v8`), of which a newer Node.js reads what an older one has written. Where the new
 * process runs on an older one that cannot, it is refused, in JSON too.
 *
 * The number is raised with every change of what any message, state or connection carries: two versions that differ in it
 * refuse each other before anything moves.
 */
export const PROTOCOL = 15;

/** What V8 writes begins with this byte, which UTF-8 has not, and then the number of its format. */
const VALUE_START = 0xff;

/** The newest format of V8 that this process reads, and the one that it writes. */
export const VALUE_FORMAT = serialize(undefined)[1] as number;

/** A descriptor that both processes have, and out of which something can be taken once. */
export interface Token {
  /** False: the other process has taken it. */
  take(descriptor: number): boolean;
  close(descriptor: number): void;
}

const why = z.string().max(2_000);
const text = z.string().max(2_000);

const listeningSockets = z.object({
  /** As `listenerKeys` of the configuration says; for the admin address `adminKey`. */
  key: text,
  /** How many of the descriptors, which come in the same order. */
  count: z.int().min(0).max(4_096),
});

/** What the new process says. */
const newMessage = z.discriminatedUnion('type', [
  z.object({
    type: z.literal('hello'),
    protocols: z.array(z.int()).max(100),
    version: text,
    /** That of Node.js, and its `VALUE_FORMAT`. */
    node: text,
    format: z.int(),
  }),
  z.object({ type: z.literal('ready') }),
  z.object({ type: z.literal('listening') }),
  /** `refused`: which of the batch stay with the old process, by their place in it. */
  z.object({ type: z.literal('taken'), refused: z.array(z.int().min(0)).max(100_000) }),
  /** The old process has taken the batch back. */
  z.object({ type: z.literal('late') }),
  z.object({ type: z.literal('over') }),
  z.object({ type: z.literal('abort'), why }),
]);
export type FromNew = z.output<typeof newMessage>;

export const fromNew: Language<FromNew> = { schema: newMessage, write: writeJson, read: readJson };

/** What the old process says. Who reads a state or a connection parses it. */
const oldMessage = z.discriminatedUnion('type', [
  z.object({ type: z.literal('state'), state: z.unknown() }),
  z.object({ type: z.literal('refuse'), why }),
  z.object({ type: z.literal('listeners'), listeners: z.array(listeningSockets).max(1_000) }),
  /** `orders`: of people to devices since the batch before, some of which may have gone over by then. */
  z.object({ type: z.literal('batch'), connections: z.unknown(), orders: z.unknown() }),
  z.object({ type: z.literal('done'), state: z.unknown() }),
]);
export type FromOld = z.output<typeof oldMessage>;

export const fromOld: Language<FromOld> = {
  schema: oldMessage,
  write: (message) => (message.type === 'refuse' ? writeJson(message) : serialize(message)),
  read: (bytes) => (bytes[0] === VALUE_START ? deserialize(bytes) : readJson(bytes)),
};

export type ListeningSockets = z.output<typeof listeningSockets>;

function writeJson(message: object): Uint8Array {
  return Buffer.from(JSON.stringify(message));
}

function readJson(bytes: Uint8Array): unknown {
  return JSON.parse(Buffer.from(bytes).toString());
}
