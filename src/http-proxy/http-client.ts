import type { Socket } from 'node:net';
import type { Timers } from '../base/time.ts';

/** One that has had its answer may send its next request any moment: it is closed when it has been idle for so long. */
const IDLE_LEAST_MS = 1_000;

/**
 * A connection of an HTTP listener, as one sees it who wants it to leave: its next answer says that it is the last one there
 * (RFC 9112 section 9.6), an idle one is closed, and what has become a tunnel ends.
 */
export class HttpClient {
  /** It is asked to leave. */
  isLeaving = false;
  /** IP literal of the device, or of the proxy before us. */
  readonly address: string;
  private readonly socket: Pick<Socket, 'bytesRead' | 'destroySoon'>;
  private readonly timers: Timers;
  private isTunnel = false;
  private answers = 0;
  private timer: unknown;
  /** When it became idle. A request that has come in part is one: whoever sends it gets its answer. */
  private bytesRead: number;

  constructor(socket: Pick<Socket, 'bytesRead' | 'destroySoon'>, timers: Timers, address: string) {
    this.address = address;
    this.socket = socket;
    this.timers = timers;
    this.bytesRead = socket.bytesRead;
  }

  /** The answer under way is the last one that it gets here. */
  get isAtLast(): boolean {
    return this.isLeaving && this.answers <= 1;
  }

  /** An answer is under way. */
  began(): void {
    this.answers++;
    this.timers.clearTimeout(this.timer);
  }

  /** One that was under way is over. */
  answered(): void {
    this.answers--;
    this.bytesRead = this.socket.bytesRead;
    if (this.isLeaving) this.closeSoon();
  }

  /** It speaks another protocol from now on. Asked before that, it has a second for it. */
  joined(): void {
    this.isTunnel = true;
    if (this.isLeaving) this.closeSoon();
  }

  end(): void {
    if (this.isLeaving) return;
    this.isLeaving = true;
    if (this.isTunnel) this.socket.destroySoon();
    else this.closeSoon();
  }

  /** Its connection has ended. */
  left(): void {
    this.timers.clearTimeout(this.timer);
  }

  private closeSoon(): void {
    if (this.answers > 0) return;
    this.timers.clearTimeout(this.timer);
    this.timer = this.timers.setTimeout(() => {
      if (this.isTunnel || this.socket.bytesRead === this.bytesRead) this.socket.destroySoon();
    }, IDLE_LEAST_MS);
  }
}
