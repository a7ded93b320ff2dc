import type { LinuxWire } from './wire.ts';

/** A fault in the code of a connection ends that connection, and nothing else. */
export class Faults {
  private readonly tell: (error: unknown) => void;
  /** Whose reset has failed too: the fault that then leaves the loop is of this connection. */
  culprit: LinuxWire | undefined;

  constructor(tell: (error: unknown) => void) {
    this.tell = tell;
  }

  /** @param wire absent: it is of no connection */
  caught(error: unknown, wire: LinuxWire | undefined): void {
    this.culprit = wire;
    this.tell(error);
    wire?.abort();
    this.culprit = undefined;
  }
}
