import type { Spawned } from './process.ts';
import { accepts, freePort, start, temporaryDirectory } from './process.ts';

export interface RedisServer {
  readonly port: number;
  /** `redis://127.0.0.1:port` */
  readonly url: string;
  readonly pid: number;
  kill(signal: NodeJS.Signals): void;
  stop(): Promise<void>;
  /** Starts again on the same port, empty. */
  restart(): Promise<void>;
}

/** A real Redis on a free port of the loopback, in memory only. */
export async function startRedis(extraArgs: readonly string[] = []): Promise<RedisServer> {
  const port = await freePort();
  const directory = temporaryDirectory();
  const run = async (): Promise<Spawned> => {
    const base = [
      '--port',
      `${port}`,
      '--bind',
      '127.0.0.1',
      '--dir',
      directory,
      '--save',
      '',
      '--appendonly',
      'no',
    ];
    const server = start('redis-server', [...base, ...extraArgs]);
    await accepts(port, server);
    return server;
  };
  let server = await run();
  return {
    port,
    url: `redis://127.0.0.1:${port}`,
    get pid() {
      return server.pid;
    },
    kill: (signal) => server.kill(signal),
    stop: () => server.stop(),
    async restart() {
      await server.stop();
      server = await run();
    },
  };
}
