import type { Timers } from '../base/time.ts';
import type { Finding } from './life.ts';

/** Between looks: a dead node is found out in a fraction of a second. */
const LOOK_AGAIN_MS = 100;
/** A node that takes no devices is not asked more often, because it is busy enough. */
const BUSY_LOOK_MS = 1_000;

interface SuspicionOptions {
  /** Undefined: the node is not known any more. Never rejects. */
  readonly look: () => Promise<Finding | undefined>;
  /** So many looks in a row without a sign of life are proof. */
  readonly limit: number;
  /** Has the node links that live? */
  readonly hasLinks: () => boolean;
  /** `isBusy` has changed. */
  readonly onBusy: (isBusy: boolean) => void;
  /** The end: `detail` says what was found where the node is gone; undefined: it lives, or nothing is known. */
  readonly onEnd: (detail: string | undefined) => void;
  readonly timers: Timers;
}

/**
 * Looks for a sign of life of a node that something speaks against: at once, and again soon, until it gives one or
 * is proven to be gone. A node that ends our connection but has links that live, lives too: it has as many devices
 * as it may. It is looked at until it takes devices again.
 */
export class Suspicion {
  private readonly options: SuspicionOptions;
  /** The node takes no devices at present. */
  isBusy = false;
  private failures = 0;
  private isOver = false;
  /** Set between looks. */
  private timer: unknown;

  constructor(options: SuspicionOptions) {
    this.options = options;
    void this.look();
  }

  /** Something more speaks against the node: the next look is made at once. */
  lookSoon(): void {
    if (this.timer === undefined) return;
    this.options.timers.clearTimeout(this.timer);
    void this.look();
  }

  stop(): void {
    this.isOver = true;
    this.options.timers.clearTimeout(this.timer);
    this.tellBusy(false);
  }

  private async look(): Promise<void> {
    this.timer = undefined;
    const finding = await this.options.look();
    if (this.isOver) return;
    if (finding === undefined || finding.kind === 'lives' || finding.kind === 'unknown')
      return this.end(undefined);
    const isBusy = finding.kind === 'closes' && this.options.hasLinks();
    this.tellBusy(isBusy);
    this.failures = isBusy ? 0 : this.failures + 1;
    if (this.failures >= this.options.limit) return this.end(finding.detail);
    const waitMs = isBusy ? BUSY_LOOK_MS : LOOK_AGAIN_MS;
    this.timer = this.options.timers.setTimeout(() => void this.look(), waitMs);
  }

  private tellBusy(isBusy: boolean): void {
    if (this.isBusy === isBusy) return;
    this.isBusy = isBusy;
    this.options.onBusy(isBusy);
  }

  private end(detail: string | undefined): void {
    this.stop();
    this.options.onEnd(detail);
  }
}
