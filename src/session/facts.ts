import type { State } from './state.ts';

/** What people are shown of a session. */
export interface SessionFacts {
  readonly subscriptions: number;
  /** QoS 1 and 2 publishes, SUBSCRIBEs and UNSUBSCRIBEs that the device waits for. */
  readonly fromDevice: number;
  /** QoS 1 and 2 messages that the device has not finished with. */
  readonly toDevice: number;
  readonly reattachments: number;
  readonly rememberedBytes: number;
}

/** @param partBytes kept of packets that have come in part */
export function factsOf(state: State, partBytes: number): SessionFacts {
  const { window, deliveries, moved, gap, subscriptions, attachments } = state;
  const held = moved?.held;
  const kept = partBytes + (gap?.length ?? 0);
  return {
    subscriptions: subscriptions?.count ?? 0,
    fromDevice: window?.count ?? 0,
    toDevice: (deliveries?.unfinished ?? 0) + (held?.count ?? 0),
    reattachments: Math.max(0, attachments - 1),
    rememberedBytes: state.knownBytes + (window?.bytes ?? 0) + (held?.bytes ?? 0) + kept,
  };
}
