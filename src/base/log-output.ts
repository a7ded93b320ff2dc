/**
 * How bytes are written. `write` says later how many were taken, or why none; `writeNow` says it at once, by
 * throwing.
 */
export interface ByteSink {
  write(
    bytes: Uint8Array,
    done: (error: NodeJS.ErrnoException | null | undefined, written: number) => void,
  ): void;
  writeNow(bytes: Uint8Array): number;
}

interface LogOutputParts {
  readonly sink: ByteSink;
  readonly setTimeout: (run: () => void, ms: number) => void;
  /** Lines are taken again after so many were lost; `reason` is an errno name. */
  readonly onRecovered: (lines: number, reason: string) => void;
}

/** Of lines that wait; with more, the newest are lost. */
const MAX_WAITING_BYTES = 4 * 1024 * 1024;
const MAX_BATCH_BYTES = 64 * 1024;
/** Between two tries, doubling: a reader that is slow is soon tried again, one that is gone costs next to nothing. */
const RETRY_MIN_MS = 5;
const RETRY_MAX_MS = 200;
/** The reader is slow: what waits can still be taken. */
const BUSY: ReadonlySet<string> = new Set(['EAGAIN', 'EBUSY', 'EINTR']);
const NEWLINE = 10;

export interface LogLoss {
  readonly lines: number;
  readonly reason: string;
}

/**
 * Lines on their way to a file, pipe or terminal that may be slow, full or gone. `write` never waits and never throws: what
 * cannot be kept is lost and counted. A slow reader is waited for while there is room. At any other error, such as ENOSPC,
 * EIO or EPIPE, all that waits is lost, and the next lines are tried again soon.
 */
export class LogOutput {
  private readonly parts: LogOutputParts;
  private lines: string[] = [];
  private waitingBytes = 0;
  /** What is left of the lines that are being written, or will be tried again. */
  private batch: Uint8Array | undefined;
  private state: 'idle' | 'writing' | 'pausing' = 'idle';
  /** 0 after a write that was taken. */
  private retryMs = 0;
  /** The last byte that was taken does not end a line. */
  private isMidLine = false;
  private lost = 0;
  /** Lost lines that were not reported yet. */
  private untold = 0;
  private reason = '';
  private waiters: (() => void)[] = [];

  constructor(parts: LogOutputParts) {
    this.parts = parts;
  }

  /** Lines that were lost since the start. */
  get dropped(): number {
    return this.lost;
  }

  /** Lines that were lost since a write was last taken, and the error code of the last failure; undefined: none. */
  get loss(): LogLoss | undefined {
    return this.untold === 0 ? undefined : { lines: this.untold, reason: this.reason };
  }

  /** @param line with its line end */
  write(line: string): void {
    const bytes = Buffer.byteLength(line);
    if (this.waitingBytes + bytes > MAX_WAITING_BYTES) return this.lose(1, 'EAGAIN');
    this.waitingBytes += bytes;
    this.lines.push(line);
    if (this.state === 'idle') this.next();
  }

  /** Resolves when all is written or lost. To be bounded: a reader that has stopped makes it wait. */
  flushed(): Promise<void> {
    if (this.batch === undefined && this.lines.length === 0) return Promise.resolve();
    return new Promise((resolve) => this.waiters.push(resolve));
  }

  /** Writes what is taken at once, because the process ends. A write that is under way is left alone. */
  end(): void {
    try {
      let rest = this.state === 'writing' ? undefined : this.batch;
      for (rest ??= this.takeBatch(); rest !== undefined; ) {
        const written = this.parts.sink.writeNow(rest);
        rest = written < rest.length ? rest.subarray(written) : this.takeBatch();
      }
    } catch {
      // The output is full or gone, and so is the process.
    }
  }

  private takeBatch(): Uint8Array | undefined {
    if (this.lines.length === 0) return undefined;
    let bytes = 0;
    let count = 0;
    while (count < this.lines.length && bytes < MAX_BATCH_BYTES)
      bytes += Buffer.byteLength(this.lines[count++] as string);
    this.waitingBytes -= bytes;
    const text = this.lines.splice(0, count).join('');
    return Buffer.from(this.isMidLine ? `\n${text}` : text); // what an error has cut off stands alone
  }

  private next(): void {
    this.batch ??= this.takeBatch();
    if (this.batch === undefined) return this.rest();
    this.state = 'writing';
    this.parts.sink.write(this.batch, (error, written) => this.wrote(error, written));
  }

  private wrote(error: NodeJS.ErrnoException | null | undefined, written: number): void {
    const { batch } = this;
    if (batch === undefined) return;
    if (!error && written > 0) {
      this.retryMs = 0;
      this.isMidLine = batch[written - 1] !== NEWLINE;
      this.batch = written < batch.length ? batch.subarray(written) : undefined;
      return this.next();
    }
    const reason = error?.code ?? 'EIO';
    if (error && !BUSY.has(reason)) this.loseAll(batch, reason);
    this.state = 'pausing';
    this.retryMs = Math.min(Math.max(RETRY_MIN_MS, this.retryMs * 2), RETRY_MAX_MS);
    this.parts.setTimeout(() => this.next(), this.retryMs);
  }

  private loseAll(batch: Uint8Array, reason: string): void {
    const ends = batch.reduce((sum, byte) => sum + (byte === NEWLINE ? 1 : 0), 0);
    const cutOff = this.isMidLine && batch[0] === NEWLINE ? 1 : 0;
    this.lose(ends - cutOff + this.lines.length, reason);
    this.batch = undefined;
    this.lines = [];
    this.waitingBytes = 0;
    this.wake();
  }

  private lose(lines: number, reason: string): void {
    this.lost += lines;
    this.untold += lines;
    this.reason = reason;
  }

  /** Nothing waits. Where that is because all was taken, it is the moment to say what was lost. */
  private rest(): void {
    this.state = 'idle';
    const { untold } = this;
    if (untold > 0 && this.retryMs === 0) {
      this.untold = 0;
      this.parts.onRecovered(untold, this.reason);
    }
    if (this.lines.length === 0) this.wake();
  }

  private wake(): void {
    const { waiters } = this;
    this.waiters = [];
    for (const resolve of waiters) resolve();
  }
}
