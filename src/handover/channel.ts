import type { z } from 'zod';
import { messageOf } from '../base/errors.ts';
import { runningTimeout } from '../base/running-timeout.ts';
import type { DescriptorSocket, Parcel } from '../engine/linux/descriptor-socket.ts';

/** Messages between the two processes of an upgrade, each checked for its shape, with the descriptors that belong to it. */

/** Why an upgrade does not go on. The message is for people. */
export class HandOverError extends Error {
  override readonly name = 'HandOverError';
}

/** What came, and with it. */
type Received<M> = M & { readonly descriptors: readonly number[] };

type Named = { readonly type: string };

/** What one of the two processes says: which messages, and how they are written. */
export interface Language<M extends Named> {
  readonly schema: z.ZodType<M>;
  write(message: M): Uint8Array;
  /** @throws Error where it cannot be read */
  read(bytes: Uint8Array): unknown;
}

/** One end of the conversation: says `Out`, hears `In`. */
export interface Channel<Out extends Named, In extends Named> {
  /** @throws HandOverError where the other end is gone, or has not taken it within `timeoutMs` (10 s) */
  say(message: Out, descriptors?: readonly number[], timeoutMs?: number): Promise<void>;
  /**
   * The next message, which must be one of these. Undefined: the other end is gone without a word.
   * @throws HandOverError where it is another, where `abort` came, or nothing within `timeoutMs`: then what comes late is for the next call
   */
  hear<T extends In['type']>(
    types: readonly T[],
    timeoutMs?: number,
  ): Promise<Received<Extract<In, { readonly type: T }>> | undefined>;
  /** What is waited for fails. */
  close(): void;
  /** Ends the conversation without a word, and gives the descriptor to the caller. */
  release(): number;
}

/** A process that is stopped takes nothing from a socket that is full. */
const SAY_TIMEOUT_MS = 10_000;

/** Speaks over a socket. */
export function openChannel<Out extends Named, In extends Named>(
  socket: DescriptorSocket,
  incoming: Language<In>,
  outgoing: Language<Out>,
): Channel<Out, In> {
  /** Not heard yet, though somebody may have waited for it. */
  let coming: Promise<Parcel | undefined> | undefined;

  async function next(): Promise<Parcel | undefined> {
    try {
      return await socket.receive();
    } catch (error) {
      throw new HandOverError(messageOf(error));
    }
  }

  return {
    async say(message, descriptors = [], timeoutMs = SAY_TIMEOUT_MS) {
      const sent = socket.send({ bytes: outgoing.write(message), descriptors });
      const gone = new HandOverError('the other process has ended');
      await within(
        timeoutMs,
        sent.catch(() => Promise.reject(gone)),
      );
    },
    async hear(types, timeoutMs) {
      coming ??= next();
      const parcel = await (timeoutMs === undefined ? coming : within(timeoutMs, coming));
      coming = undefined;
      if (parcel === undefined) return undefined;
      const message = understood(incoming, parcel.bytes);
      if (types.some((type) => type === message.type))
        return { ...message, descriptors: parcel.descriptors } as never;
      const why = 'why' in message ? String(message.why) : `it says '${message.type}' out of turn`;
      throw new HandOverError(why);
    },
    close: () => socket.close(),
    release: () => socket.release(),
  };
}

/** @throws HandOverError where it is no message of this language */
function understood<M extends Named>({ schema, read }: Language<M>, bytes: Uint8Array): M {
  try {
    return schema.parse(read(bytes));
  } catch {
    throw new HandOverError('the other process says what this one does not understand');
  }
}

/** @throws HandOverError where it takes longer */
function within<T>(timeoutMs: number, work: Promise<T>): Promise<T> {
  return new Promise((resolve, reject) => {
    const late = () => reject(new HandOverError(`it has not answered within ${timeoutMs / 1000} s`));
    work.then(resolve, reject).finally(runningTimeout(late, timeoutMs));
  });
}
