import * as ws from 'ws';

/** Frames as the `ws` package makes and reads them: the other implementation that ours is held against. */

interface FrameOptions {
  readonly fin: boolean;
  readonly opcode: number;
  readonly mask: boolean;
  readonly rsv1: boolean;
  readonly readOnly: boolean;
}

const { Sender, Receiver } = ws as unknown as {
  Sender: { frame(data: Buffer, options: FrameOptions): Buffer[] };
  Receiver: new (options: { isServer: boolean }) => NodeJS.WritableStream;
};

/** One frame of a device. */
export function deviceFrame(opcode: number, payload: Uint8Array, fin = true): Buffer {
  const options = { fin, opcode, mask: true, rsv1: false, readOnly: true };
  return Buffer.concat(Sender.frame(Buffer.from(payload), options));
}

/** The messages in what a server sent; throws where it breaks the protocol. */
export async function messagesIn(bytes: Buffer): Promise<string[]> {
  const receiver = new Receiver({ isServer: false });
  const messages: string[] = [];
  const fault = new Promise<never>((_, reject) => receiver.on('error', reject));
  receiver.on('message', (data: Buffer, isBinary: boolean) =>
    messages.push(`${isBinary ? 'binary' : 'text'} ${data.toString('latin1')}`),
  );
  receiver.on('ping', (data: Buffer) => messages.push(`ping ${data}`));
  receiver.on('pong', (data: Buffer) => messages.push(`pong ${data}`));
  receiver.on('conclude', (code: number) => messages.push(`close ${code}`));
  await Promise.race([fault, new Promise<void>((written) => receiver.write(bytes, () => written()))]);
  return messages;
}

/** Bytes cut into pieces at these places, whatever their order; one that is beyond the end cuts nothing. */
export function cut(bytes: Buffer, places: readonly number[]): Buffer[] {
  const ends = [...new Set([...places.map((place) => place % (bytes.length + 1)), bytes.length])].sort(
    (a, b) => a - b,
  );
  return ends.map((end, i) => Buffer.from(bytes.subarray(ends[i - 1] ?? 0, end)));
}
