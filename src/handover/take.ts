import { type Channel, HandOverError } from './channel.ts';
import {
  type FromNew,
  type FromOld,
  type ListeningSockets,
  PROTOCOL,
  type Token,
  VALUE_FORMAT,
} from './protocol.ts';

/** The side of the process that takes over. */

/** What the new process does with connections. */
export interface Taker {
  /** Makes them, without a move. `orders` are for `begin`. Resolves with the places of those that it does not take. @throws Error where that fails: then none may go on here */
  adopt(connections: unknown, descriptors: readonly number[], orders: unknown): Promise<readonly number[]>;
  /** Those of the last batch go on here, and hear what people ordered. */
  begin(): Promise<void>;
}

/** What the old process says last. */
interface LastWord {
  readonly state: unknown;
}

/** The old process may take so long to answer before it has given anything. */
const ANSWER_TIMEOUT_MS = 60_000;

/** Who the new process is. */
interface Introduction {
  readonly version: string;
  readonly protocols?: readonly number[];
  /** The version of its Node.js, and the newest format of V8 that this reads. */
  readonly node?: string;
  readonly format?: number;
}

/**
 * Asks the old process for what this one starts with, and for the lines to processes that are older still. Undefined: it is dead, and this is a start like any other.
 * @throws HandOverError where it refuses
 */
export async function greet(
  channel: Channel<FromNew, FromOld>,
  { version, protocols = [PROTOCOL], node = process.version, format = VALUE_FORMAT }: Introduction,
): Promise<{ readonly state: unknown; readonly descriptors: readonly number[] } | undefined> {
  const isThere = await said(channel, { type: 'hello', protocols: [...protocols], version, node, format });
  const answer = isThere ? await channel.hear(['state', 'refuse'], ANSWER_TIMEOUT_MS) : undefined;
  if (answer?.type === 'refuse') throw new HandOverError(answer.why);
  return answer;
}

/** Says that this process is ready, and gets the listening sockets. None: the old one is dead. @throws HandOverError where it gives up */
export async function takeListeners(channel: Channel<FromNew, FromOld>): Promise<{
  readonly listeners: readonly ListeningSockets[];
  readonly descriptors: readonly number[];
}> {
  const isThere = await said(channel, { type: 'ready' });
  const answer = isThere ? await channel.hear(['listeners'], ANSWER_TIMEOUT_MS) : undefined;
  return answer ?? { listeners: [], descriptors: [] };
}

/**
 * Says that this process accepts, and takes connections until the old one is done, for as long as that lives. Resolves with what it says last;
 * undefined: it is dead, and all that it gave is this process's.
 * @throws HandOverError and what `adopt` throws
 */
export async function takeConnections(
  channel: Channel<FromNew, FromOld>,
  taker: Taker,
  token: Token,
): Promise<LastWord | undefined> {
  if (!(await said(channel, { type: 'listening' }))) return undefined;
  for (;;) {
    const message = await channel.hear(['batch', 'done']);
    if (message?.type !== 'batch') return message;
    const isThere = await said(channel, await answerTo(message, taker, token));
    await taker.begin();
    if (!isThere) return undefined;
  }
}

type Batch = Extract<FromOld, { type: 'batch' }> & { readonly descriptors: readonly number[] };

/** A batch that came too late goes on at the old process; its orders count all the same. */
async function answerTo(
  { connections, orders, descriptors: [descriptor = -1, ...descriptors] }: Batch,
  taker: Taker,
  token: Token,
): Promise<FromNew> {
  const isOurs = token.take(descriptor);
  token.close(descriptor);
  if (isOurs) return { type: 'taken', refused: [...(await taker.adopt(connections, descriptors, orders))] };
  for (const each of descriptors) token.close(each);
  await taker.adopt([], [], orders);
  return { type: 'late' };
}

/** The last word. */
export async function takenOver(channel: Channel<FromNew, FromOld>): Promise<void> {
  await said(channel, { type: 'over' });
}

/** False: the old process is dead. */
async function said(channel: Channel<FromNew, FromOld>, message: FromNew): Promise<boolean> {
  try {
    await channel.say(message);
    return true;
  } catch {
    return false;
  }
}
