/**
 * The links of one node that ended lately. Those of several devices that end together are no coincidence: the process
 * that had them is gone, even if a supervisor has started it again by the time that somebody looks.
 *
 * The bounds: two devices prove nothing, however few links the node has, because both may have sent what the broker does
 * not take; and a share is asked for, because among many devices there are always some that are thrown out. Half of the
 * links is more than what goes by itself, and less than what a death takes. Where more ended than the node ever had at one
 * time, they came and went one after the other: each of them had found a node that lives.
 */
const MIN_DEVICES = 3;
const MIN_SHARE = 0.5;
/** Losses are counted by half seconds, this one and the one before: at least 500 ms and at most 1 s. */
const BUCKET_MS = 500;

interface Bucket {
  readonly number: number;
  /** Hashes: a device that connects and is thrown out over and over counts once. */
  readonly devices: Set<number>;
  /** The most links that the node had when one of these ended. */
  had: number;
}

export class LossWindow {
  private current = emptyBucket(0);
  private previous = emptyBucket(0);

  /** @param had links that the node had before these ended */
  add(nowMs: number, devices: readonly number[], had: number): void {
    const number = Math.floor(nowMs / BUCKET_MS);
    const age = number - this.current.number;
    if (age > 0) {
      this.previous = age === 1 ? this.current : emptyBucket(number - 1);
      this.current = emptyBucket(number);
    }
    const { current } = this;
    current.had = Math.max(current.had, had);
    for (const device of devices) current.devices.add(device);
  }

  /** The reason why this device lost its link is known: it is not counted. Returns whether it was. */
  remove(device: number): boolean {
    const wasCurrent = this.current.devices.delete(device);
    return this.previous.devices.delete(device) || wasCurrent;
  }

  /** The number of devices that lost their link. */
  get lost(): number {
    const { current, previous } = this;
    let lost = current.devices.size;
    for (const device of previous.devices) if (!current.devices.has(device)) lost++;
    return lost;
  }

  get had(): number {
    return Math.max(this.current.had, this.previous.had);
  }

  /** Did so many end together that their node is gone? */
  get isProof(): boolean {
    const { lost, had } = this;
    return lost >= MIN_DEVICES && lost >= had * MIN_SHARE && lost <= had;
  }

  /** Counting begins anew. */
  clear(): void {
    this.current = emptyBucket(this.current.number);
    this.previous = emptyBucket(this.current.number - 1);
  }
}

function emptyBucket(number: number): Bucket {
  return { number, devices: new Set(), had: 0 };
}
