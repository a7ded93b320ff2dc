/** The options of `breakwater start`, and its start. */

import { resolve } from 'node:path';
import { Command } from 'commander';
import type { Config } from '../../config/config.ts';
import { collect, withExample } from '../options.ts';
import { untilStopped, watchHangups, watchSignals } from '../signals.ts';

interface StartOptions {
  readonly config?: string;
  readonly listen?: readonly string[];
  readonly node?: readonly string[];
  readonly strategy?: string;
  readonly redis?: string;
  readonly admin?: string;
}

/** `breakwater start`: the proxy, until SIGTERM or SIGINT. SIGHUP has it read its configuration again. */
export function startCommand(): Command {
  const command = new Command('start')
    .description('start the proxy')
    .option('-c, --config <file>', 'configuration file (YAML); flags are laid over it')
    .option('--listen <url>', 'address for devices, such as mqtt://0.0.0.0:1883; may be repeated', collect)
    .option('--node <url[,weight=N][,id=ID][,pool=P]>', 'a node behind the address; may be repeated', collect)
    .option('--strategy <name>', 'round-robin, least-connections, source-hash or client-id-hash')
    .option('--redis <url>', 'membership store that proxies share')
    .option('--admin <url>', 'address of the admin API, such as http://127.0.0.1:9883')
    .action(async (options: StartOptions) => {
      process.exitCode = await start(options);
    });
  return withExample(
    command,
    'start -c breakwater.yaml',
    'start --listen mqtt://0.0.0.0:1883 --node mqtt://10.0.0.1:1883,weight=20 --node mqtt://10.0.0.2:1883,id=b',
  );
}

async function start(options: StartOptions): Promise<number> {
  const { asked, atOnce } = watchSignals();
  atOnce.addEventListener('abort', () => process.exit(1), { once: true });
  const read = await configReader(options);
  const config = await read();
  const { startProxy } = await import('../../proxy/proxy.ts');
  try {
    const server = await startProxy(config, read, asked);
    watchHangups().heed(() => void server.reload().catch(() => {})); // the log says why
    return await untilStopped(server);
  } catch (error) {
    if (error === asked.reason) return 0; // a signal ended the start
    throw error;
  }
}

/** Reads the configuration, and reads it again for a reload: the folder that we work in may be gone by then. */
async function configReader({ config: typed, ...given }: StartOptions): Promise<() => Promise<Config>> {
  const { defaultConfig } = await import('../../config/load.ts');
  const token = process.env.BREAKWATER_TOKEN;
  const flags = { ...given, environment: process.env, ...(token ? { adminToken: token } : {}) };
  if (typed === undefined) return async () => defaultConfig(flags);
  const [{ followConfigFile }, { parseAside }] = await Promise.all([
    import('../config-file.ts'),
    import('../parse-config.ts'),
  ]);
  const path = wholePath(typed);
  const read = followConfigFile(path);
  return async () => parseAside(await read(), path, flags);
}

function wholePath(path: string): string {
  try {
    return resolve(path);
  } catch {
    return path;
  }
}
