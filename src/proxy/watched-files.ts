import { isDeepStrictEqual } from 'node:util';
import { messageOf } from '../base/errors.ts';
import type { Log } from '../base/log.ts';
import { type Finding, formatProblem, type Path, unplaced } from '../config/problems.ts';
import { watchFiles } from './file-watch.ts';

/** A part of the configuration that names files of TLS. */
export interface FileOwner {
  /** The same over reloads. */
  readonly id: string | number;
  /** What the log says of it. */
  readonly label: Readonly<Record<string, string>>;
  /** Where it stands in the configuration. */
  readonly path: Path;
  readonly files: readonly string[];
}

/** What was read of files, kept as they are. */
interface WatchedFiles<Owner, Value> {
  /** From now on these are in use (in the same order): their files are watched. Returns who had others before. */
  use(owners: readonly Owner[], values: readonly (Value | undefined)[]): Owner[];
  /**
   * Reads the files in use again, and takes what has changed. A bad one keeps what was there, is logged once, and is
   * part of the answer.
   */
  refresh(): Promise<readonly Finding[]>;
  /** Changes what is in use, whatever the files say. Rejects where one change is refused. */
  amend(change: (value: Value) => Value): Promise<void>;
  /** Those whose files are in use, with what is. */
  present(): readonly (readonly [Owner, Value])[];
  stop(): void;
}

interface Reading<Value> {
  /** In the order of the owners; undefined where there is a problem, or nothing to read. */
  readonly values: readonly (Value | undefined)[];
  readonly problems: readonly Finding[];
}

/** `cause`: why the former files stay; absent: they are in use. */
export type FilesTold = (label: FileOwner['label'], cause?: string) => void;

export function keepFiles<Owner extends FileOwner, Value>(
  read: (owners: readonly Owner[]) => Promise<Reading<Value>>,
  /** Rejects where the value is refused. */
  update: (owner: Owner, value: Value) => Promise<void>,
  log: Log,
  onTold: FilesTold,
): WatchedFiles<Owner, Value> {
  let owners: readonly Owner[] = [];
  let inUse: (Value | undefined)[] = [];
  let told: ReadonlySet<string> = new Set();
  let unwatch = (): void => undefined;
  let turn: Promise<unknown> = Promise.resolve();

  function use(next: readonly Owner[], values: readonly (Value | undefined)[]): Owner[] {
    unwatch();
    const changed = next.filter(({ id }, at) => {
      const before = inUse[owners.findIndex((owner) => owner.id === id)];
      return before !== undefined && values[at] !== undefined && !isDeepStrictEqual(before, values[at]);
    });
    owners = next;
    inUse = [...values];
    unwatch = watchFiles(
      next.flatMap(({ files }) => files),
      () => void refresh(),
    );
    return changed;
  }

  function refresh(): Promise<readonly Finding[]> {
    const answer = turn.then(readAgain);
    turn = answer.catch(() => undefined);
    return answer;
  }

  async function readAgain(): Promise<readonly Finding[]> {
    const now = owners;
    const { values, problems: found } = await read(now);
    const problems = [...found];
    for (const [at, owner] of now.entries()) {
      const value = values[at];
      if (now !== owners) return []; // a reload was quicker
      if (value === undefined || isDeepStrictEqual(value, inUse[at])) continue;
      try {
        await update(owner, value);
        inUse[at] = value;
        log.info(owner.label, 'TLS files taken');
        onTold(owner.label);
      } catch (error) {
        problems.push({ path: owner.path, message: messageOf(error) });
      }
    }
    tell(now, problems);
    return problems;
  }

  function amend(change: (value: Value) => Value): Promise<void> {
    const done = turn.then(async () => {
      const now = owners;
      for (const [at, owner] of now.entries()) {
        const value = inUse[at];
        if (value === undefined || now !== owners) continue;
        const next = change(value);
        await update(owner, next);
        inUse[at] = next;
      }
    });
    turn = done.catch(() => undefined);
    return done;
  }

  function present(): (readonly [Owner, Value])[] {
    return owners.flatMap((owner, at) => {
      const value = inUse[at];
      return value === undefined ? [] : [[owner, value] as const];
    });
  }

  /** Each problem once, until it changes. */
  function tell(owners: readonly Owner[], problems: readonly Finding[]): void {
    const now = new Set<string>();
    for (const problem of problems) {
      const error = formatProblem(unplaced(problem));
      now.add(error);
      if (told.has(error)) continue;
      log.error({ error }, 'TLS file is bad; the former one stays');
      const owner = owners.find(({ path }) => path.every((key, at) => key === problem.path[at]));
      onTold(owner?.label ?? {}, error);
    }
    told = now;
  }

  return { use, refresh, amend, present, stop: () => unwatch() };
}
