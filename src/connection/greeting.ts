import { GrowableBuffer } from '../base/growable-buffer.ts';
import type { Connect } from '../protocol/mqtt/connect.ts';

/** What a connection remembers until its device is served. */
export class Greeting {
  /** What the device sent until it is carried: CONNECT first. */
  held: GrowableBuffer | undefined = new GrowableBuffer();
  /** Undefined until it is whole. */
  connect: Connect | undefined;
  /** Where it ends in `held`. */
  connectEnd = 0;
  /** When it was whole, on the host's clock; 0 before. */
  connectAtMs = 0;
  deviceFin = false;
  isHolding = false;
}
