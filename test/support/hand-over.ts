import type { Socket } from 'node:net';
import { descriptorsOf, type HandedSockets, withDescriptors } from '../../src/engine/handed-sockets.ts';
import { loadKoffi } from '../../src/engine/linux/koffi.ts';
import type { EngineUnderTest, RemoteConnection } from './engine-under-test.ts';
import type { Script } from './engine-worker.ts';
import { digest, payload } from './fake-node.ts';
import { until } from './wait.ts';

/** Hands connections over from one engine to another of this process. */

let dup: ((fd: number) => number) | undefined;

/** What passing a descriptor to another process does (dup(2)). */
export function duplicate(fd: number): number {
  dup ??= loadKoffi().load(null).func('int dup(int fd)') as (fd: number) => number;
  const copy = dup(fd);
  if (copy < 0) throw new Error(`dup(${fd}) failed`);
  return copy;
}

export function duplicated(sockets: HandedSockets): HandedSockets {
  return withDescriptors(structuredClone(sockets), descriptorsOf(sockets).map(duplicate));
}

/** The connection of a device, as soon as it can be frozen. */
export function frozen(engine: EngineUnderTest, port: number): Promise<HandedSockets> {
  return until(() => engine.freeze(port), 'a connection that can be frozen');
}

/** Whoever has the connection then tells of it by what this returns. */
export async function handOver(
  from: EngineUnderTest,
  to: EngineUnderTest,
  port: number,
  script: Script,
): Promise<{ readonly adopted: RemoteConnection; readonly handed: HandedSockets }> {
  const handed = await frozen(from, port);
  const adopted = await to.adopt(port, script, duplicated(handed));
  await from.depart(port);
  await to.thaw(port);
  return { adopted, handed };
}

/** So many bytes of a socket, which may be paused. */
export async function gathered(socket: Socket, length: number): Promise<Buffer> {
  const chunks: Buffer[] = [];
  let bytes = 0;
  socket.on('data', (chunk: Buffer) => {
    chunks.push(chunk);
    bytes += chunk.length;
  });
  socket.resume();
  await until(() => bytes >= length, `${length} bytes`);
  return Buffer.concat(chunks);
}

interface Streamed {
  readonly bytes: number;
  readonly chunk: number;
  /** Chunks between two hand-overs. */
  readonly every: number;
}

/**
 * Sends as much both ways, in chunks, and has the connection handed over to and fro meanwhile.
 * @returns digests of what was sent, and of what came, first of the device and then of the node
 */
export async function streamed(
  { device, upstream }: { readonly device: Socket; readonly upstream: Socket },
  { bytes, chunk, every }: Streamed,
  [first, second]: readonly [EngineUnderTest, EngineUnderTest],
  pass: (from: EngineUnderTest, to: EngineUnderTest) => Promise<unknown>,
): Promise<{ readonly sent: readonly string[]; readonly came: readonly string[] }> {
  const up = payload(bytes);
  const down = payload(bytes);
  const atNode = gathered(upstream, bytes);
  const atDevice = gathered(device, bytes);
  let from = first;
  let to = second;
  for (let at = 0; at < bytes; at += chunk) {
    device.write(up.bytes.subarray(at, at + chunk));
    upstream.write(down.bytes.subarray(at, at + chunk));
    if (at % (every * chunk) !== 0) continue;
    await pass(from, to);
    [from, to] = [to, from];
  }
  return { sent: [up.digest, down.digest], came: [digest(await atNode), digest(await atDevice)] };
}
