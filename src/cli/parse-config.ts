import { Worker } from 'node:worker_threads';
import { BreakwaterError } from '../base/errors.ts';
import { type Config, deepFreeze } from '../config/config.ts';
import type { Flags } from '../config/flags.ts';
import { parseConfig, sourceIn } from '../config/load.ts';
import { ConfigError, type Problem } from '../config/problems.ts';
import { rememberSource } from '../config/source.ts';
import { ensureWorkingFolder } from '../data-plane/working-folder.ts';

/** What the thread is given. */
export interface ParseOrder {
  readonly text: string;
  readonly fileName: string;
  readonly flags: Flags;
}

export type ParseAnswer =
  | { readonly kind: 'read'; readonly config: Config }
  | { readonly kind: 'wrong'; readonly problems: readonly Problem[]; readonly more: number }
  | { readonly kind: 'failed'; readonly message: string };

/** What is longer takes longer than the main thread may be kept from health and heartbeats. */
const MAX_INLINE_CHARACTERS = 64 * 1024;
/** A megabyte takes a second, on a busy machine some more. */
const TIMEOUT_MS = 60_000;

/** As `parseConfig`; a long text is read in a thread of its own, so that a reload delays nothing. */
export async function parseAside(text: string, fileName: string, flags: Flags): Promise<Config> {
  if (text.length <= MAX_INLINE_CHARACTERS) return parseConfig(text, fileName, flags);
  const answer = await ask({ text, fileName, flags });
  if (answer.kind === 'wrong') throw new ConfigError(fileName, answer.problems, answer.more);
  if (answer.kind === 'failed') throw unreadable(fileName, answer.message);
  const config = deepFreeze(answer.config);
  rememberSource(config, sourceIn(text, fileName, flags));
  return config;
}

function ask(order: ParseOrder): Promise<ParseAnswer> {
  ensureWorkingFolder();
  const environment = { ...order.flags.environment }; // that of the process is no plain object
  const workerData: ParseOrder = { ...order, flags: { ...order.flags, environment } };
  const worker = new Worker(new URL('./config-thread.js', import.meta.url), { workerData });
  return new Promise<ParseAnswer>((resolve, reject) => {
    const late = setTimeout(() => reject(unreadable(order.fileName, 'it takes too long')), TIMEOUT_MS);
    worker.once('message', resolve);
    worker.once('error', reject);
    worker.once('exit', () => {
      clearTimeout(late);
      reject(unreadable(order.fileName, 'the thread that reads it has ended'));
    });
  }).finally(() => void worker.terminate());
}

function unreadable(fileName: string, why: string): BreakwaterError {
  return new BreakwaterError('CONFIG_UNREADABLE', `cannot read the configuration ${fileName}: ${why}`);
}
