import { randomInt } from 'node:crypto';
import { once } from 'node:events';
import { createServer, type Server } from 'node:net';

/**
 * Where Linux takes the port of `listen(0)` and of a connection from begins at 32,768 (`ip_local_port_range`, ip(7)). A port
 * of that range may be another's as soon as its server is down, and what is sent to a dead node then reaches that server.
 */
const FIRST = 10_000;
const LAST = 32_000;
const TRIES = 100;

/**
 * A port for a server that cannot choose one itself, or that goes down and comes back, or stays away. Nobody else has it by
 * chance meanwhile: it is this process's until that ends, whatever listens there.
 * @throws Error where none is free
 */
export async function freePort(): Promise<number> {
  for (let tries = 0; tries < TRIES; tries++) {
    const port = randomInt(FIRST, LAST + 1);
    if (!(await isClaimed(port))) continue;
    const server = await listening(createServer(), { port });
    if (server === undefined) continue;
    server.close();
    await once(server, 'close');
    return port;
  }
  throw new Error(`no port from ${FIRST} to ${LAST} is free`);
}

/** Is it ours, among all processes that ask here? An abstract socket of its name tells, which goes with its process (unix(7)). */
async function isClaimed(port: number): Promise<boolean> {
  if (process.platform !== 'linux') return true;
  const claim = await listening(createServer(), { path: `\0breakwater-test-port-${port}` });
  claim?.unref();
  return claim !== undefined;
}

/** Undefined where somebody else listens there. */
async function listening(
  server: Server,
  at: { port: number } | { path: string },
): Promise<Server | undefined> {
  try {
    await once(server.listen(at), 'listening');
    return server;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'EADDRINUSE') return undefined;
    throw error;
  }
}
