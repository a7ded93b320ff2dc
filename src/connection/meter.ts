import { TokenBucket } from '../policy/admission/token-bucket.ts';
import type { DeviceRates } from './connection-host.ts';
import type { HandedMeter } from './handed-forwarder.ts';

/**
 * Limits the rate of one device, in messages and bytes. One second's worth may come at once. Nothing is dropped:
 * what one read brings is passed on, and what comes after it waits until the device is within its rate again.
 */
export class Meter {
  private readonly messages: TokenBucket | undefined;
  private readonly bytes: TokenBucket | undefined;
  private freeAtMs = 0;
  /** So many packets of those that wait may go at once: a second's worth. */
  readonly step: number;

  constructor({ messageRate, byteRate }: DeviceRates) {
    this.step = Math.max(1, messageRate);
    this.messages = bucketOf(messageRate);
    this.bytes = bucketOf(byteRate);
  }

  spend(messages: number, bytes: number, nowMs: number): void {
    const messagesMs = this.messages?.takeAndDelay(messages, nowMs) ?? 0;
    const bytesMs = this.bytes?.takeAndDelay(bytes, nowMs) ?? 0;
    this.freeAtMs = Math.max(this.freeAtMs, nowMs + Math.max(messagesMs, bytesMs));
  }

  /** For another process. */
  describe(nowMs: number): HandedMeter {
    const { messages, bytes } = this;
    return {
      freeInMs: this.waitMs(nowMs),
      messagesFullInMs: messages?.fullInMs(nowMs) ?? 0,
      bytesFullInMs: bytes?.fullInMs(nowMs) ?? 0,
    };
  }

  /** Goes on where another process was. Rates may be others here. */
  revive({ freeInMs, messagesFullInMs, bytesFullInMs }: HandedMeter, nowMs: number): void {
    this.freeAtMs = nowMs + freeInMs;
    this.messages?.fillIn(messagesFullInMs, nowMs);
    this.bytes?.fillIn(bytesFullInMs, nowMs);
  }

  /** How long the device has to wait, in ms; 0: it is within its rate. */
  waitMs(nowMs: number): number {
    return Math.max(0, this.freeAtMs - nowMs);
  }
}

function bucketOf(perSecond: number): TokenBucket | undefined {
  return perSecond === 0 ? undefined : new TokenBucket(perSecond, perSecond);
}
