import type { Target } from './wire.ts';

/** Which nodes one search may ask, and in which order. */
export interface CandidateOptions {
  /** A node to be asked only when all others have failed: the one that the device comes from. */
  readonly avoid?: string | undefined;
  /** A node that is not asked at all. */
  readonly never?: string | undefined;
}

/** The nodes of one search, best first, each once. */
export class Candidates {
  private readonly all: Iterator<Target>;
  private readonly options: CandidateOptions;
  private isAvoidedPast = false;
  private lastResort: Target | undefined;
  /** Looked at before it is taken. */
  private upcoming: Target | undefined;

  constructor(all: Iterator<Target>, options: CandidateOptions) {
    this.all = all;
    this.options = options;
  }

  /** The next one, the avoided one last. */
  next(): Target | undefined {
    const next = this.nextPlain();
    if (next !== undefined) return next;
    const { lastResort } = this;
    this.lastResort = undefined;
    return lastResort;
  }

  /** The next one, but for the avoided one. */
  nextPlain(): Target | undefined {
    const { upcoming } = this;
    this.upcoming = undefined;
    return upcoming ?? this.search();
  }

  get hasNext(): boolean {
    this.upcoming ??= this.search();
    return this.upcoming !== undefined || this.lastResort !== undefined;
  }

  private search(): Target | undefined {
    const { avoid, never } = this.options;
    for (let next = this.all.next(); !next.done; next = this.all.next()) {
      const { nodeId } = next.value;
      if (nodeId === never) continue;
      if (nodeId !== avoid || this.isAvoidedPast) return next.value;
      this.isAvoidedPast = true;
      this.lastResort = next.value;
    }
    return undefined;
  }
}
