import { bufferOf, GrowableBuffer } from '../base/growable-buffer.ts';
import type { Connect } from '../protocol/mqtt/connect.ts';

/** A device that no node has answered: all that it has said, and whether it has ended its side. */
export interface Unserved {
  readonly said: Uint8Array;
  readonly hasFinished: boolean;
}

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

  /** Is as it was before the device was carried. */
  stepBack({ said, hasFinished }: Unserved): void {
    this.held = bufferOf(said);
    this.deviceFin = hasFinished;
    this.isHolding = true; // whoever carried it may have held it
  }
}
