import { type Channel, HandOverError } from './channel.ts';
import {
  type FromNew,
  type FromOld,
  type ListeningSockets,
  PROTOCOL,
  type Token,
  VALUE_FORMAT,
} from './protocol.ts';

/** The side of the process that hands over. */

/** Some connections that stand still, as plain values, and their descriptors. */
export interface Batch {
  readonly connections: readonly unknown[];
  readonly descriptors: readonly number[];
  /** What people ordered since the batch before. */
  readonly orders: readonly unknown[];
  /** Connections that could not be stopped just now: they are in the middle of something. */
  readonly busy: number;
}

/** What a process has to hand over, and what becomes of it. */
export interface Giver {
  /**
   * What the new process starts with, and the lines to older processes: those take the end of the last copy for the end of the proxy,
   * so the new one has them before this one can be killed.
   */
  state(): { readonly state: unknown; readonly descriptors: readonly number[] };
  listeners(): Promise<{
    readonly listeners: readonly ListeningSockets[];
    readonly descriptors: readonly number[];
  }>;
  /** Accepts nobody from now on: the new process does. */
  hold(): void;
  /** Has further connections stand still; none: there are none that could go now. */
  next(): Promise<Batch>;
  /** The connections of the last batch are the new process's, but those at these places, which go on here. */
  given(refused: readonly number[]): Promise<void>;
  /** The connections of the last batch go on here, and may be offered again. */
  back(): void;
  /** From now on the new process speaks for this proxy: what is to be said of it last. */
  retire(): Promise<unknown>;
}

interface GiveOptions {
  /** How long the new process may take for each step until it accepts devices. */
  readonly startTimeoutMs: number;
  /** How long it may take to take a batch of connections, which stand still meanwhile. */
  readonly batchTimeoutMs: number;
  /** What is passed on with a batch: whoever takes it, which can be done once, has the batch. */
  readonly token: Token & { create(): number };
  /** How long it may take for each step behind those. */
  readonly stepTimeoutMs: number;
  /** Ends the new process at once; resolves when it has ended. */
  readonly kill: () => Promise<void>;
  /** Connections that are in the middle of something are tried again for so long. */
  readonly settleMs: number;
  readonly now: () => number;
  readonly sleep: (ms: number) => Promise<unknown>;
}

/**
 * Behind each batch as long as it took, up to this: a batch keeps threads of both processes busy one after the other, and devices that
 * do not stand still wait for those threads, and for the cores.
 */
const LONGEST_REST_MS = 20;
/** How often connections are tried again that are in the middle of something. */
const RETRY_MS = 100;
/** A process that is late with more batches than that, one after the other, is too slow to serve devices. */
const MOST_LATE = 5;

/**
 * Hands everything over. Resolves with what the new process is, and how many connections went.
 * @throws HandOverError with the reason where it does not succeed: then all that was not `given` is still here, stands still, and
 * must go on when the new process is dead
 */
export async function give(
  channel: Channel<FromOld, FromNew>,
  giver: Giver,
  options: GiveOptions,
): Promise<{ readonly version: string; readonly given: number }> {
  const { startTimeoutMs, stepTimeoutMs } = options;
  const hello = await heard(channel, 'hello', startTimeoutMs);
  const why = whyRefused(hello);
  if (why !== undefined) {
    await channel.say({ type: 'refuse', why });
    throw new HandOverError(why);
  }
  const first = giver.state();
  await channel.say({ type: 'state', state: first.state }, first.descriptors);
  await heard(channel, 'ready', startTimeoutMs);
  const { listeners, descriptors } = await giver.listeners();
  await channel.say({ type: 'listeners', listeners: [...listeners] }, descriptors);
  await heard(channel, 'listening', startTimeoutMs); // meanwhile devices are accepted here
  giver.hold();
  const given = await giveConnections(channel, giver, options);
  await channel.say({ type: 'done', state: await giver.retire() });
  await heard(channel, 'over', stepTimeoutMs);
  return { version: hello.version, given };
}

/** Why nothing can be handed over to a process; undefined: it can. */
function whyRefused({
  protocols,
  version,
  node,
  format,
}: Extract<FromNew, { type: 'hello' }>): string | undefined {
  if (!protocols.includes(PROTOCOL))
    return `version ${version} does not speak protocol ${PROTOCOL} of the hand-over; restart the proxy instead`;
  if (format < VALUE_FORMAT)
    return `Node.js ${node} cannot read what Node.js ${process.version} writes; restart the proxy instead`;
  return undefined;
}

async function giveConnections(
  channel: Channel<FromOld, FromNew>,
  giver: Giver,
  options: GiveOptions,
): Promise<number> {
  const { settleMs, now, sleep } = options;
  let given = 0;
  let lateInARow = 0;
  for (let settledBy: number | undefined; ; ) {
    const beganMs = now();
    const batch = await giver.next();
    const { connections, busy } = batch;
    if (connections.length > 0) {
      const refused = await offer(channel, giver, batch, options);
      if (refused === undefined) {
        if (++lateInARow > MOST_LATE)
          throw new HandOverError(`it has taken none of ${lateInARow} batches in time`);
        continue;
      }
      lateInARow = 0;
      await giver.given(refused);
      given += connections.length - refused.length;
      await sleep(Math.min(now() - beganMs, LONGEST_REST_MS));
      continue;
    }
    settledBy ??= now() + settleMs;
    if (busy === 0 || now() >= settledBy) return given;
    await sleep(RETRY_MS);
  }
}

/** Which of the batch the new process does not take. Undefined: it was late for the batch, which goes on here. */
async function offer(
  channel: Channel<FromOld, FromNew>,
  giver: Giver,
  { connections, descriptors, orders }: Batch,
  options: GiveOptions,
): Promise<readonly number[] | undefined> {
  const { batchTimeoutMs, stepTimeoutMs, token } = options;
  const descriptor = token.create();
  try {
    const all = [descriptor, ...descriptors];
    await channel.say({ type: 'batch', connections, orders }, all, batchTimeoutMs);
    return (await heard(channel, 'taken', batchTimeoutMs)).refused;
  } catch (error) {
    if (!token.take(descriptor)) return await settled(channel, giver, options, error);
    giver.back();
    await heard(channel, 'late', stepTimeoutMs).catch(() => Promise.reject(error));
    return undefined;
  } finally {
    token.close(descriptor); // not before: where its buffer was full, it may be sent this late
  }
}

/** What the new process says to a batch of which it has the token. Where it does not say it in time it is killed: it could begin any moment. */
async function settled(
  channel: Channel<FromOld, FromNew>,
  giver: Giver,
  { batchTimeoutMs, kill }: GiveOptions,
  reason: unknown,
): Promise<readonly number[]> {
  const inTime = await channel.hear(['taken'], batchTimeoutMs).catch(() => undefined);
  if (inTime !== undefined) return inTime.refused;
  await kill();
  const last = await channel.hear(['taken'], batchTimeoutMs).catch(() => undefined);
  if (last !== undefined) await giver.given(last.refused);
  throw reason;
}

async function heard<T extends FromNew['type']>(
  channel: Channel<FromOld, FromNew>,
  type: T,
  timeoutMs: number,
) {
  const message = await channel.hear([type], timeoutMs);
  if (message === undefined) throw new HandOverError('the new process has ended; its log says why');
  return message;
}
