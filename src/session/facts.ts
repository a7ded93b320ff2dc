import type { Frames } from './frames.ts';
import type { State } from './state.ts';

/** The figures of a session that people are shown. */
export interface SessionFacts {
  readonly subscriptions: number;
  /** QoS 1 and 2 publishes, SUBSCRIBEs and UNSUBSCRIBEs that the device waits for. */
  readonly fromDevice: number;
  /** QoS 1 and 2 messages that the device has not finished with. */
  readonly toDevice: number;
  readonly reattachments: number;
  readonly rememberedBytes: number;
  /** No packet is under way, in either direction. */
  readonly isBetweenPackets: boolean;
}

/** @param deviceFrames undefined: the device is between packets, as its node is without `nodeFrames` */
export function factsOf(
  state: State,
  deviceFrames: Frames | undefined,
  nodeFrames: Frames | undefined,
): SessionFacts {
  const { inflightFromDevice, inflightToDevice, migration, offlineBuffer, subscriptions, attachments } =
    state;
  const held = migration?.held;
  const partBytes = (deviceFrames?.keptBytes ?? 0) + (nodeFrames?.keptBytes ?? 0);
  const kept = partBytes + (offlineBuffer?.length ?? 0);
  return {
    subscriptions: subscriptions?.count ?? 0,
    fromDevice: inflightFromDevice?.count ?? 0,
    toDevice: (inflightToDevice?.unfinished ?? 0) + (held?.count ?? 0),
    reattachments: Math.max(0, attachments - 1),
    rememberedBytes: state.knownBytes + (inflightFromDevice?.bytes ?? 0) + (held?.bytes ?? 0) + kept,
    isBetweenPackets: deviceFrames === undefined && nodeFrames === undefined,
  };
}
