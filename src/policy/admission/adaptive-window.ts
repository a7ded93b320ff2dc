/**
 * How many questions one node may have unanswered, so that it is asked as fast as it answers, and no faster. Congestion
 * control by delay, as TCP Vegas does it (Brakmo and Peterson, 1995): the quickest answer tells what the node needs when
 * nobody waits before us; while answers come about as quickly the window grows, when they take much longer it shrinks.
 * Pure: times are handed in, in milliseconds.
 */
export class AdaptiveWindow {
  /** In questions; a fraction is a part of the way to one more. */
  private size: number;
  private baseMs = Number.POSITIVE_INFINITY;
  /** Doubled each time that all were answered quickly, until it was too much once (slow start). */
  private isStarting = true;
  /** What was asked before then says nothing of the present size. */
  private changedAtMs = Number.NEGATIVE_INFINITY;

  /** @param startSize before anything is known of the node; several windows to one node share it */
  constructor(startSize: number) {
    this.size = Math.max(MIN_SIZE, startSize);
  }

  /** So many may be unanswered, at least one. */
  get room(): number {
    return Math.floor(this.size);
  }

  /** After so long an answer that has not come counts as `overloaded`, and makes room for another question. */
  get patienceMs(): number {
    if (this.baseMs === Number.POSITIVE_INFINITY) return PATIENCE_MS.min;
    return Math.max(PATIENCE_MS.min, Math.min(PATIENCE_MS.max, this.baseMs * PATIENCE_BASES));
  }

  /** @param isFull as many were unanswered as may be: else it is not known whether more would be answered as quickly */
  answered(askedAtMs: number, nowMs: number, isFull: boolean): void {
    const tookMs = nowMs - askedAtMs;
    this.learn(tookMs);
    const goodMs = this.baseMs * GOOD_BASES + SLACK_MS;
    if (tookMs > this.baseMs * BAD_BASES + SLACK_MS)
      this.shrink(Math.max(LEAST_PART, goodMs / tookMs), askedAtMs, nowMs);
    else if (isFull && tookMs <= goodMs)
      this.size = Math.min(MAX_SIZE, this.size + (this.isStarting ? 1 : GROWTH / this.size));
  }

  /** The node has said that it is too busy, has failed, or has not answered in time. */
  overloaded(askedAtMs: number, nowMs: number): void {
    this.shrink(LEAST_PART, askedAtMs, nowMs);
  }

  /** An answer to a question that was alone tells anew what the node needs: it may be slower than it was. */
  private learn(tookMs: number): void {
    if (tookMs < this.baseMs) this.baseMs = tookMs;
    else if (this.room === MIN_SIZE) this.baseMs += (tookMs - this.baseMs) * DRIFT;
  }

  /** Once for all that was asked at one size. */
  private shrink(part: number, askedAtMs: number, nowMs: number): void {
    if (askedAtMs < this.changedAtMs) return;
    this.size = Math.max(MIN_SIZE, this.size * part);
    this.isStarting = false;
    this.changedAtMs = nowMs;
  }
}

const MIN_SIZE = 1;
const MAX_SIZE = 256;
/** Times the quickest answer: up to the first more may be asked, above the second less. */
const GOOD_BASES = 1.25;
const BAD_BASES = 1.5;
/** That much is noise, of the machine and the network, where answers are quick. */
const SLACK_MS = 2;
/** Questions more, in the time that all are answered in, once it has been too much. */
const GROWTH = 0.5;
/** Of the size, when answers are far too slow. */
const LEAST_PART = 0.5;
/** This part of the difference is believed when a lone question takes longer. It is small: other threads may have asked at the same time. */
const DRIFT = 0.03;
/** An answer is waited for `PATIENCE_BASES` times as long as the quickest one took, within the bounds of `PATIENCE_MS`. */
const PATIENCE_BASES = 4;
const PATIENCE_MS = { min: 1_000, max: 10_000 };
