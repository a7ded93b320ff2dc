import type { Log } from '../base/log.ts';

/** Something that goes on for a while. */
export interface Run {
  state: 'moving' | 'blocked' | 'done';
  /** It is to end without a word. */
  stopped: boolean;
}

/** Of runs of one kind, one at a time: another one stops that before it. The last one is known when it is over, too. */
export class LatestRun<R extends Run> {
  latest: R | undefined;
  private readonly go: (run: R) => Promise<void>;
  private readonly log: Log;

  /** @param go called for what is `moving`; where it fails, the run is blocked */
  constructor(go: (run: R) => Promise<void>, log: Log) {
    this.go = go;
    this.log = log;
  }

  begin(run: R): void {
    this.stop();
    this.latest = run;
    if (run.state !== 'moving') return;
    this.go(run).catch((error: unknown) => {
      run.state = 'blocked';
      this.log.error({ error: String(error) }, 'rebalance failed');
    });
  }

  stop(): void {
    if (this.latest !== undefined) this.latest.stopped = true;
  }
}
