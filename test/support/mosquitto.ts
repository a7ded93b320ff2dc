import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { freePort } from './free-port.ts';
import type { Spawned } from './process.ts';
import { accepts, start, temporaryDirectory } from './process.ts';

export interface Mosquitto {
  readonly port: number;
  /** `mqtt://127.0.0.1:port` */
  readonly url: string;
  readonly pid: number;
  /** Client ids that are connected now, as the broker's own log tells. */
  clients(): string[];
  output(): string;
  kill(signal: NodeJS.Signals): void;
  stop(): Promise<void>;
  /** Starts again on the same port, after `stop` or a killing signal. */
  restart(): Promise<void>;
}

/** A real mosquitto on a free port of the loopback. `config` is added to its configuration file. */
export async function startMosquitto(
  options: { persistence?: boolean; anonymous?: boolean; config?: string } = {},
): Promise<Mosquitto> {
  const port = await freePort();
  const directory = temporaryDirectory();
  const file = join(directory, 'mosquitto.conf');
  const lines = [
    `listener ${port} 127.0.0.1`,
    `allow_anonymous ${options.anonymous ?? true}`,
    'log_dest stderr',
    'log_type notice',
    'log_type error',
    'log_type warning',
    'set_tcp_nodelay true',
    'max_queued_messages 0',
    `persistence ${options.persistence ?? false}`,
    `persistence_location ${directory}/`,
    'user root', // it would give up root, and then not reach the temporary directory
    options.config ?? '',
  ];
  writeFileSync(file, lines.join('\n'));

  let server = await run(file, port);
  let clients = connectedIn(() => server.output());
  return {
    port,
    url: `mqtt://127.0.0.1:${port}`,
    get pid() {
      return server.pid;
    },
    clients: () => clients(),
    output: () => server.output(),
    kill: (signal) => server.kill(signal),
    stop: () => server.stop(),
    async restart() {
      await server.stop();
      server = await run(file, port);
      clients = connectedIn(() => server.output());
    },
  };
}

async function run(file: string, port: number): Promise<Spawned> {
  const server = start('mosquitto', ['-c', file]);
  await accepts(port, server);
  return server;
}

/** Reads on where it has read to: the log of hundreds of devices is long, and is asked for often. */
function connectedIn(log: () => string): () => string[] {
  const connected = new Set<string>();
  let at = 0;
  return () => {
    const text = log();
    const end = text.lastIndexOf('\n') + 1;
    for (const line of text.slice(at, end).split('\n')) {
      const id = / as (\S+) \(p\d/.exec(line)?.[1];
      if (id !== undefined) connected.add(id);
      const gone = /: Client (\S+) (?:disconnected|closed|has exceeded)/.exec(line)?.[1];
      // A second connection of one id is logged before the first one's end, which says "already connected".
      if (gone !== undefined && !line.includes('already connected')) connected.delete(gone);
    }
    at = end;
    return [...connected];
  };
}
