import { createServer, type Server, type Socket } from 'node:net';
import { freePort } from './free-port.ts';
import { atEnd } from './process.ts';

/** A packet of a device, as it came. */
export interface RawPacket {
  readonly type: number;
  readonly bytes: Buffer;
  /** Where its body begins. */
  readonly bodyAt: number;
}

/** A broker of a few lines, which a test has say what no broker would. It takes every CONNECT, and tells what it gets. */
export interface RawNode {
  readonly url: string;
  /** The newest link whose CONNECT has this text in it: a client id, where it is no part of another. */
  link(clientId: string): Socket | undefined;
  /** Packets that came so far, by type (MQTT 5.0 clause 2.1.2). */
  readonly counts: readonly number[];
  /** Refuses connections, and ends those that there are. */
  stop(): void;
  /** Listens again, at the same port. */
  start(): Promise<void>;
}

/** @param answer to every packet but CONNECT; undefined: none */
export async function startRawNode(answer: (packet: RawPacket) => Buffer | undefined): Promise<RawNode> {
  const links = new Set<Socket>();
  const counts = Array<number>(16).fill(0);
  const connects: { readonly bytes: Buffer; readonly socket: Socket }[] = [];
  let server: Server | undefined;
  const port = await freePort();

  function accept(socket: Socket): void {
    links.add(socket);
    let rest = Buffer.alloc(0);
    socket.on('error', () => undefined).on('close', () => links.delete(socket));
    socket.on('data', (chunk: Buffer) => {
      const bytes = rest.length === 0 ? chunk : Buffer.concat([rest, chunk]);
      const answers: Buffer[] = [];
      let at = 0;
      for (let packet = packetAt(bytes, at); packet !== undefined; packet = packetAt(bytes, at)) {
        at += packet.bytes.length;
        counts[packet.type] = (counts[packet.type] as number) + 1;
        const said = packet.type === 1 ? Buffer.of(0x20, 2, 0, 0) : answer(packet);
        if (packet.type === 1) connects.push({ bytes: Buffer.from(packet.bytes), socket });
        if (said !== undefined) answers.push(said);
      }
      rest = Buffer.from(bytes.subarray(at));
      if (answers.length > 0) socket.write(Buffer.concat(answers));
    });
  }

  const start = (): Promise<void> =>
    new Promise((listening) => {
      server = createServer({ noDelay: true }, accept).listen(port, '127.0.0.1', listening);
    });
  const stop = (): void => {
    server?.close();
    for (const socket of links) socket.destroy();
  };
  const link = (clientId: string) => connects.findLast(({ bytes }) => bytes.includes(clientId))?.socket;
  await start();
  atEnd(stop);
  return { url: `mqtt://127.0.0.1:${port}`, link, counts, stop, start };
}

/** The whole packet at this offset. */
function packetAt(bytes: Buffer, at: number): RawPacket | undefined {
  let length = 0;
  for (let i = 1; i < 5 && at + i < bytes.length; i++) {
    const byte = bytes[at + i] as number;
    length += (byte & 127) * 128 ** (i - 1);
    if (byte >= 128) continue;
    const end = at + 1 + i + length;
    if (end > bytes.length) return undefined;
    return { type: (bytes[at] as number) >> 4, bytes: bytes.subarray(at, end), bodyAt: 1 + i };
  }
  return undefined;
}
