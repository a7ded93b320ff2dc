import { randomBytes } from 'node:crypto';
import { isDeepStrictEqual } from 'node:util';
import { formatProblem, type Problem } from '../config/problems.ts';
import type { TlsConfig } from '../config/tls.ts';
import { TICKET_KEY_BYTES, type TlsOptions } from '../engine/tls.ts';
import { messageOf } from '../errors.ts';
import type { Log } from '../log.ts';
import { watchFiles } from './file-watch.ts';
import { readTlsFiles, type TlsFiles } from './tls-files.ts';

/** A listener as it is configured, by its number on the data threads. */
export interface TlsListener {
  readonly index: number;
  readonly url: string;
  readonly tls?: TlsConfig | undefined;
}

/** What the listeners show to devices, kept as the files are. */
export interface Certificates {
  /** Reads and checks the files of these listeners. All that it reads have the same ticket keys. */
  read(listeners: readonly TlsListener[]): Promise<TlsFiles>;
  /**
   * From now on these listeners are served by these options (in the same order): their files are watched. Returns the
   * URLs of those that were served by others before.
   */
  use(listeners: readonly TlsListener[], options: readonly (TlsOptions | undefined)[]): string[];
  /**
   * Reads the files in use again, and takes what has changed. Devices that are connected stay; a bad file keeps the
   * listener's former ones, is logged once, and is part of the answer.
   */
  refresh(): Promise<readonly Problem[]>;
  stop(): void;
}

export function createCertificates(
  /** Rejects where a thread refuses them. */
  update: (listenerIndex: number, tls: TlsOptions) => Promise<void>,
  log: Log,
): Certificates {
  const ticketKeys = randomBytes(TICKET_KEY_BYTES);
  let listeners: readonly TlsListener[] = [];
  let inUse: (TlsOptions | undefined)[] = [];
  let told: ReadonlySet<string> = new Set();
  let unwatch = (): void => undefined;
  let turn: Promise<unknown> = Promise.resolve();

  const read: Certificates['read'] = (some) => readTlsFiles(some, ticketKeys);

  function use(next: readonly TlsListener[], options: readonly (TlsOptions | undefined)[]): string[] {
    unwatch();
    const changed = next.filter(({ index }, at) => {
      const before = inUse[listeners.findIndex((listener) => listener.index === index)];
      return before !== undefined && options[at] !== undefined && !isDeepStrictEqual(before, options[at]);
    });
    listeners = next;
    inUse = [...options];
    unwatch = watchFiles(next.flatMap(filesOf), () => void refresh());
    return changed.map(({ url }) => url);
  }

  function refresh(): Promise<readonly Problem[]> {
    const answer = turn.then(readAgain);
    turn = answer.catch(() => undefined);
    return answer;
  }

  async function readAgain(): Promise<readonly Problem[]> {
    const now = listeners;
    const { options, problems: found } = await read(now);
    const problems = [...found];
    for (const [at, { index, url }] of now.entries()) {
      const tls = options[at];
      if (now !== listeners) return []; // a reload was quicker
      if (tls === undefined || isDeepStrictEqual(tls, inUse[at])) continue;
      try {
        await update(index, tls);
        inUse[at] = tls;
        log.info({ listener: url }, 'TLS files taken');
      } catch (error) {
        problems.push({ path: `listeners[${at}].tls`, line: undefined, message: messageOf(error) });
      }
    }
    tell(problems.map(formatProblem));
    return problems;
  }

  function tell(problems: readonly string[]): void {
    for (const error of problems)
      if (!told.has(error)) log.error({ error }, 'TLS file is bad; the former one stays');
    told = new Set(problems);
  }

  return { read, use, refresh, stop: () => unwatch() };
}

function filesOf({ tls }: TlsListener): string[] {
  const files = (tls?.certificates ?? []).flatMap(({ cert, key }) => [cert, key]);
  return tls?.clientCa === undefined ? files : [...files, tls.clientCa];
}
