import { TokenBucket } from '../admission/token-bucket.ts';
import type { DeviceRates } from './world.ts';

/**
 * The pace of one device, in messages and bytes. Nothing is dropped: what was read is passed on, and then the device is
 * not read until it is back on its pace. A second's worth may come at once.
 */
export class Meter {
  private readonly messages: TokenBucket | undefined;
  private readonly bytes: TokenBucket | undefined;
  private freeAtMs = 0;

  constructor({ messageRate, byteRate }: DeviceRates) {
    this.messages = bucketOf(messageRate);
    this.bytes = bucketOf(byteRate);
  }

  spend(messages: number, bytes: number, nowMs: number): void {
    const messagesMs = this.messages?.takeAndDelay(messages, nowMs) ?? 0;
    const bytesMs = this.bytes?.takeAndDelay(bytes, nowMs) ?? 0;
    this.freeAtMs = Math.max(this.freeAtMs, nowMs + Math.max(messagesMs, bytesMs));
  }

  /** How long the device is not to be read, in ms; 0: it is on its pace. */
  waitMs(nowMs: number): number {
    return Math.max(0, this.freeAtMs - nowMs);
  }
}

function bucketOf(perSecond: number): TokenBucket | undefined {
  return perSecond === 0 ? undefined : new TokenBucket(perSecond, perSecond);
}
