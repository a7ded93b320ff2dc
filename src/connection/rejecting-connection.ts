import { GrowableBuffer } from '../base/growable-buffer.ts';
import { decodeConnect } from '../protocol/mqtt/connect.ts';
import { type ConnackRefusal, refusalConnack } from '../protocol/mqtt/reason-codes.ts';
import type { Wire, WireEvents } from './wire.ts';

/** From accept to a whole CONNECT: less than others get, because it leads to nothing. */
const PATIENCE_MS = 2_000;
const MAX_CONNECT_BYTES = 4_096;

/**
 * A device that is refused before its first byte, and is told the reason in MQTT. It may send its CONNECT, gets a
 * CONNACK, and is closed. Whoever makes these connections bounds how many there are.
 */
export class RejectingConnection implements WireEvents {
  private readonly wire: Wire;
  private readonly refusal: ConnackRefusal;
  private held: GrowableBuffer | undefined = new GrowableBuffer();

  constructor(wire: Wire, refusal: ConnackRefusal) {
    this.wire = wire;
    this.refusal = refusal;
    wire.setTimer(PATIENCE_MS);
  }

  deviceData(bytes: Uint8Array, start: number, end: number): void {
    const { held, wire } = this;
    if (held === undefined) return;
    held.append(bytes, start, end);
    const result = decodeConnect(held.bytes, 0, held.length, MAX_CONNECT_BYTES);
    if (result.kind === 'incomplete') return;
    this.held = undefined;
    if (result.kind === 'refused') return wire.endDevice('reset');
    const reply = refusalConnack(result.connect.protocolVersion, this.refusal);
    wire.toDevice(reply, 0, reply.length);
    wire.endDevice('flush');
    wire.setTimer(PATIENCE_MS);
  }

  deviceEnded(): void {
    this.wire.endDevice('reset');
  }

  timer(): void {
    this.wire.endDevice('reset');
  }

  closed(): void {}

  // It has no links.
  linkOpened(): void {}
  linkFailed(): void {}
  linkData(): void {}
  linkEnded(): void {}
}
