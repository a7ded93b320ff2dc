import { z } from 'zod';
import { count, seconds } from './fields.ts';

/** Bounds of HTTP listeners, towards devices and towards nodes. */

export interface HttpLimits {
  readonly maxHeadBytes: number;
  readonly maxBodyBytes: number;
  /** Bytes a second. */
  readonly minBodyRate: number;
  readonly requestTimeoutMs: number;
  readonly stallTimeoutMs: number;
  readonly keepAliveMs: number;
}

export interface HttpUpstream {
  readonly answerTimeoutMs: number;
  readonly silenceTimeoutMs: number;
  /** At one node, from this proxy. */
  readonly maxRequests: number;
}

export const httpLimitsSchema = z.strictObject({
  maxHeadSize: count({
    min: 1024,
    max: 1_048_576,
    default: 16_384,
    unit: 'bytes',
    about:
      'Request line and header fields together, and those of an answer: Node’s and nginx’s order of size.',
  }),
  maxBodySize: count({
    min: 0,
    max: 1_099_511_627_776,
    default: 67_108_864,
    unit: 'bytes',
    about:
      'Body of a request. It is passed on as it comes and never held whole; brokers take backups this way.',
  }),
  minBodyRate: count({
    min: 0,
    max: 1_000_000,
    default: 250,
    unit: 'bytes per second',
    about:
      'How fast the body of a request must come on the average, once 10 s are over; only the time counts in which it is taken. A slower one is answered 408. Apache asks for 500. 0 takes any.',
  }),
  requestTimeout: seconds({
    min: 1,
    max: 86_400,
    default: 300,
    about:
      'From the first byte of a request to the last of its body; for its head `limits.connectTimeout` holds. Ends uploads that trickle.',
  }),
  stallTimeout: seconds({
    min: 1,
    max: 3600,
    default: 60,
    about: 'A client that takes nothing of its answer for so long is reset.',
  }),
  keepAlive: seconds({
    min: 1,
    max: 3600,
    default: 60,
    about: 'A connection without a request is kept for so long.',
  }),
});

export const httpUpstreamSchema = z.strictObject({
  answerTimeout: seconds({
    min: 0.1,
    max: 3600,
    default: 60,
    about: 'From the request to the head of the node’s answer; then the client gets 504.',
  }),
  silenceTimeout: seconds({
    min: 1,
    max: 86_400,
    default: 300,
    about: 'Between two pieces of an answer’s body: event streams send a sign of life at least so often.',
  }),
  maxRequests: count({
    min: 1,
    max: 65_536,
    default: 1024,
    unit: 'requests',
    about:
      'At one node at one time, WebSockets apart; of one source at most half of it. Beyond, the next node is asked, and with none left the answer is 503.',
  }),
});

const toMs = (value: number): number => Math.round(value * 1000);

export function toHttpLimits(limits: z.output<typeof httpLimitsSchema>): HttpLimits {
  return {
    maxHeadBytes: limits.maxHeadSize,
    maxBodyBytes: limits.maxBodySize,
    minBodyRate: limits.minBodyRate,
    requestTimeoutMs: toMs(limits.requestTimeout),
    stallTimeoutMs: toMs(limits.stallTimeout),
    keepAliveMs: toMs(limits.keepAlive),
  };
}

export function toHttpUpstream(upstream: z.output<typeof httpUpstreamSchema>): HttpUpstream {
  return {
    answerTimeoutMs: toMs(upstream.answerTimeout),
    silenceTimeoutMs: toMs(upstream.silenceTimeout),
    maxRequests: upstream.maxRequests,
  };
}
