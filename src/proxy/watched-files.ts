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

interface Reading<Value> {
  /** In the order of the owners; undefined where there is a problem, or nothing to read. */
  readonly values: readonly (Value | undefined)[];
  readonly problems: readonly Finding[];
}

/** `cause`: why the former files stay; absent: they are in use. */
export type FilesTold = (label: FileOwner['label'], cause?: string) => void;

interface WatchedFilesParts<Owner, Value> {
  readonly read: (owners: readonly Owner[]) => Promise<Reading<Value>>;
  /** Rejects where the value is refused. */
  readonly update: (owner: Owner, value: Value) => Promise<void>;
  readonly log: Log;
  readonly onTold: FilesTold;
}

/** What was read of files, kept as they are. */
export class WatchedFiles<Owner extends FileOwner, Value> {
  private readonly parts: WatchedFilesParts<Owner, Value>;
  private owners: readonly Owner[] = [];
  private inUse: (Value | undefined)[] = [];
  private told: ReadonlySet<string> = new Set();
  private unwatch = (): void => undefined;
  private turn: Promise<unknown> = Promise.resolve();

  constructor(parts: WatchedFilesParts<Owner, Value>) {
    this.parts = parts;
  }

  /** From now on these are in use (in the same order): their files are watched. Returns who had others before. */
  use(next: readonly Owner[], values: readonly (Value | undefined)[]): Owner[] {
    this.unwatch();
    const changed = next.filter(({ id }, at) => {
      const before = this.inUse[this.owners.findIndex((owner) => owner.id === id)];
      return before !== undefined && values[at] !== undefined && !isDeepStrictEqual(before, values[at]);
    });
    this.owners = next;
    this.inUse = [...values];
    this.unwatch = watchFiles(
      next.flatMap(({ files }) => files),
      () => void this.refresh(),
    );
    return changed;
  }

  /**
   * Reads the files in use again, and takes what has changed. A bad one keeps what was there, is logged once, and is
   * part of the answer.
   */
  refresh(): Promise<readonly Finding[]> {
    const answer = this.turn.then(() => this.readAgain());
    this.turn = answer.catch(() => undefined);
    return answer;
  }

  /** Changes what is in use, whatever the files say. Rejects where one change is refused. */
  amend(change: (value: Value) => Value): Promise<void> {
    const done = this.turn.then(async () => {
      const now = this.owners;
      for (const [at, owner] of now.entries()) {
        const value = this.inUse[at];
        if (value === undefined || now !== this.owners) continue;
        const next = change(value);
        await this.parts.update(owner, next);
        this.inUse[at] = next;
      }
    });
    this.turn = done.catch(() => undefined);
    return done;
  }

  /** Those whose files are in use, with what is. */
  present(): readonly (readonly [Owner, Value])[] {
    return this.owners.flatMap((owner, at) => {
      const value = this.inUse[at];
      return value === undefined ? [] : [[owner, value] as const];
    });
  }

  stop(): void {
    this.unwatch();
  }

  private async readAgain(): Promise<readonly Finding[]> {
    const { read, update, log, onTold } = this.parts;
    const now = this.owners;
    const { values, problems: found } = await read(now);
    const problems = [...found];
    for (const [at, owner] of now.entries()) {
      const value = values[at];
      if (now !== this.owners) return []; // a reload was quicker
      if (value === undefined || isDeepStrictEqual(value, this.inUse[at])) continue;
      try {
        await update(owner, value);
        this.inUse[at] = value;
        log.info(owner.label, 'TLS files taken');
        onTold(owner.label);
      } catch (error) {
        problems.push({ path: owner.path, message: messageOf(error) });
      }
    }
    this.tell(now, problems);
    return problems;
  }

  /** Each problem once, until it changes. */
  private tell(owners: readonly Owner[], problems: readonly Finding[]): void {
    const { log, onTold } = this.parts;
    const now = new Set<string>();
    for (const problem of problems) {
      const error = formatProblem(unplaced(problem));
      now.add(error);
      if (this.told.has(error)) continue;
      log.error({ error }, 'TLS file is bad; the former one stays');
      const owner = owners.find(({ path }) => path.every((key, at) => key === problem.path[at]));
      onTold(owner?.label ?? {}, error);
    }
    this.told = now;
  }
}
