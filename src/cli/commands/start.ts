/** The options of `breakwater start`, and its start. */

import { resolve } from 'node:path';
import { Command } from 'commander';
import type { Config } from '../../config/config.ts';
import { type ConfigOptions, flagsOf, withConfigOptions, withExample } from '../options.ts';
import { passedOn, untilStopped, watchHangups, watchSignals, watchUpgrades } from '../signals.ts';

/** `breakwater start`: the proxy, until SIGTERM or SIGINT. SIGHUP has it read its configuration again. */
export function startCommand(): Command {
  const command = new Command('start').description('start the proxy');
  withConfigOptions(command).action(async (options: ConfigOptions) => {
    process.exitCode = await start(options);
  });
  return withExample(
    command,
    'start -c breakwater.yaml',
    'start --listen mqtt://0.0.0.0:1883 --node mqtt://10.0.0.1:1883,weight=20 --node mqtt://10.0.0.2:1883,id=b',
  );
}

async function start(options: ConfigOptions): Promise<number> {
  const { asked, atOnce } = watchSignals();
  atOnce.addEventListener('abort', () => process.exit(1), { once: true });
  const { HAND_OVER_VARIABLE } = await import('../../proxy/keeper.ts');
  if (process.env[HAND_OVER_VARIABLE] !== undefined) return takeOver(options);
  const read = await configReader(options);
  const config = await read();
  const { startProxy } = await import('../../proxy/proxy.ts');
  try {
    return await serve(await startProxy(config, read, asked));
  } catch (error) {
    if (error === asked.reason) return 0; // a signal ended the start
    throw error;
  }
}

/** A start in place of an older process, which goes on where this one fails. Signals wait until it is over. */
async function takeOver(options: ConfigOptions): Promise<number> {
  const [{ openTakeOver }, { startProxy }] = await Promise.all([
    import('../../proxy/take-over.ts'),
    import('../../proxy/proxy.ts'),
  ]);
  const origin = await openTakeOver();
  try {
    const read = await configReader(options);
    const config = await read();
    origin.check(config);
    const server = await startProxy(config, read, undefined, origin);
    origin.line.heed(passedOn);
    const code = await serve(server);
    origin.line.ended(code);
    return code;
  } catch (error) {
    await origin.abort(error);
    throw error;
  }
}

type Server = Awaited<ReturnType<typeof import('../../proxy/proxy.ts').startProxy>>;

/** Resolves to the exit code. */
async function serve(server: Server): Promise<number> {
  watchHangups().heed(() => server.hangUp());
  watchUpgrades().heed(() => void server.upgrade().catch(() => {})); // the log says why
  const code = await untilStopped(server);
  return (await server.successor()) ?? code;
}

/** Reads the configuration, and reads it again for a reload: the folder that we work in may be gone by then. */
async function configReader({ config: typed, ...given }: ConfigOptions): Promise<() => Promise<Config>> {
  const { defaultConfig } = await import('../../config/load.ts');
  const flags = flagsOf(given);
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
