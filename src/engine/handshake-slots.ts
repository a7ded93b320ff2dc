import type { Clock } from '../base/time.ts';
import { sourceHash } from '../policy/admission/source-hash.ts';
import { type IpSource, newIpWords, readIp } from '../protocol/address/ip.ts';

/** Bounds the TLS handshakes that are in progress on one thread, in all and of one source. */

/** One source may have this part of all handshakes, so that it locks nobody else out. */
const SHARE = 0.5;
/** A handshake that has taken so long gives way where there is no room for another: GPRS needs two round trips of a second. */
const PATIENCE_MS = 3_000;

interface Slot {
  readonly source: number;
  readonly sinceMs: number;
}

/**
 * The TLS handshakes of devices that are in progress on one thread, each named by `T`, with a bound on their number:
 * memory and work that nobody has shown a right to.
 */
export class HandshakeSlots<T> {
  private readonly max: number;
  private readonly maxOfSource: number;
  private readonly clock: Clock;
  private readonly giveWay: (handshake: T) => void;
  /** Oldest first. */
  private readonly slots = new Map<T, Slot>();
  private readonly bySource = new Map<number, number>();
  private readonly words = newIpWords();

  /** @param giveWay resets a handshake whose slot another one has now */
  constructor(max: number, clock: Clock, giveWay: (handshake: T) => void) {
    this.max = max;
    this.maxOfSource = Math.max(1, Math.floor(max * SHARE));
    this.clock = clock;
    this.giveWay = giveWay;
  }

  /** False when there is no room, or this source has its share. */
  take(handshake: T, source: IpSource): boolean {
    const hash = sourceHash(readIp(source, this.words), this.words, 0);
    const ofSource = this.bySource.get(hash) ?? 0;
    if (ofSource >= this.maxOfSource) return false;
    const sinceMs = this.clock.now();
    if (this.slots.size >= this.max && !this.makeRoom(sinceMs)) return false;
    this.slots.set(handshake, { source: hash, sinceMs });
    this.bySource.set(hash, (this.bySource.get(hash) ?? 0) + 1);
    return true;
  }

  private makeRoom(nowMs: number): boolean {
    const [oldest] = this.slots;
    if (oldest === undefined || nowMs - oldest[1].sinceMs < PATIENCE_MS) return false;
    this.release(oldest[0]);
    this.giveWay(oldest[0]);
    return true;
  }

  /** The handshake is done, or over. */
  release(handshake: T): void {
    const slot = this.slots.get(handshake);
    if (slot === undefined) return;
    this.slots.delete(handshake);
    const left = (this.bySource.get(slot.source) ?? 0) - 1;
    if (left > 0) this.bySource.set(slot.source, left);
    else this.bySource.delete(slot.source);
  }
}
