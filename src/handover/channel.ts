import { deserialize, serialize } from 'node:v8';
import type { z } from 'zod';
import type { DescriptorSocket } from '../engine/linux/descriptor-socket.ts';

/** Messages between the two processes of an upgrade, each checked for its shape, with the descriptors that belong to it. */

/** Why an upgrade does not go on. The message is for people. */
export class HandOverError extends Error {
  override readonly name = 'HandOverError';
}

/** What came, and with it. */
type Received<M> = M & { readonly descriptors: readonly number[] };

type Named = { readonly type: string };

/** One end of the conversation: says `Out`, hears `In`. */
export interface Channel<Out extends Named, In extends Named> {
  /** @throws HandOverError where the other end is gone */
  say(message: Out, descriptors?: readonly number[]): Promise<void>;
  /**
   * The next message, which must be one of these. Undefined: the other end is gone without a word.
   * @throws HandOverError where it is another, where `abort` came, or nothing within `timeoutMs`
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

/** Speaks by this schema over a socket. */
export function openChannel<Out extends Named, In extends Named>(
  socket: DescriptorSocket,
  incoming: z.ZodType<In>,
): Channel<Out, In> {
  return {
    async say(message, descriptors = []) {
      try {
        await socket.send({ bytes: serialize(message), descriptors });
      } catch {
        throw new HandOverError('the other process has ended');
      }
    },
    async hear(types, timeoutMs) {
      const parcel = await withinTime(socket, timeoutMs);
      if (parcel === undefined) return undefined;
      const parsed = incoming.safeParse(deserialize(parcel.bytes));
      if (!parsed.success)
        throw new HandOverError('the other process says what this one does not understand');
      const message = parsed.data;
      if (types.some((type) => type === message.type))
        return { ...message, descriptors: parcel.descriptors } as never;
      const why = 'why' in message ? String(message.why) : `it says '${message.type}' out of turn`;
      throw new HandOverError(why);
    },
    close: () => socket.close(),
    release: () => socket.release(),
  };
}

async function withinTime(socket: DescriptorSocket, timeoutMs: number | undefined) {
  if (timeoutMs === undefined) return received(socket);
  let isLate = false;
  const timer = setTimeout(() => {
    isLate = true;
    socket.close();
  }, timeoutMs);
  const parcel = await received(socket);
  clearTimeout(timer);
  if (isLate) throw new HandOverError(`it has not answered within ${timeoutMs / 1000} s`);
  return parcel;
}

async function received(socket: DescriptorSocket) {
  try {
    return await socket.receive();
  } catch (error) {
    throw new HandOverError((error as Error).message);
  }
}
