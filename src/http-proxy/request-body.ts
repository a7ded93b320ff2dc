/** Streams the body of an HTTP request to a node, and bounds how slowly it may come. */

import type { IncomingMessage } from 'node:http';
import { Readable } from 'node:stream';

interface BodyOptions {
  readonly maxBytes: number;
  /** On the average, once `SLOW_START_S` are over; 0: any. */
  readonly minBytesPerSecond: number;
  /** Called when the first node begins to take it: a client that waits for 100 Continue may send. */
  readonly onBegin: () => void;
}

/** Chunks may be of one byte each: smaller ones than this are joined, and behind so many nothing more is read in a turn. */
const SMALL_BYTES = 1024;
const MOST_SMALL = 512;

/** A client has so long before its rate counts: radio links begin slowly. Apache's mod_reqtimeout has 20. */
const SLOW_START_S = 10;

/**
 * A request's body as one node takes it. Touches the request only once it is read: whatever could not reach a node can
 * be tried at another, which is given a body of its own.
 */
export class RequestBody extends Readable {
  private readonly request: IncomingMessage;
  private readonly options: BodyOptions;
  private bytes = 0;
  private begun = false;
  private tooLarge = false;
  private tooSlow = false;
  /** Seconds in which the client could have sent, because the node took what came. */
  private seconds = 0;
  private beat: NodeJS.Timeout | undefined;
  /** Small chunks that came in this turn. */
  private small: Buffer[] = [];
  private isSocketPaused = false;

  constructor(request: IncomingMessage, options: BodyOptions) {
    super();
    this.request = request;
    this.options = options;
    this.on('error', () => {}); // whoever takes it is told, and nobody else has to be
  }

  /** From now on no other node can have it. */
  get hasBegun(): boolean {
    return this.begun;
  }

  get isTooLarge(): boolean {
    return this.tooLarge;
  }

  get isTooSlow(): boolean {
    return this.tooSlow;
  }

  override _read(): void {
    if (this.begun) {
      this.request.resume();
      return;
    }
    this.begun = true;
    this.options.onBegin();
    if (this.options.minBytesPerSecond > 0) this.beat = setInterval(() => this.watch(), 1_000).unref();
    this.request.on('data', this.receive).on('end', this.finish).on('close', this.left);
  }

  private watch(): void {
    if (this.request.isPaused()) return;
    this.seconds++;
    if (this.bytes >= (this.seconds - SLOW_START_S) * this.options.minBytesPerSecond) return;
    this.tooSlow = true;
    this.destroy(new Error('the body comes too slowly'));
  }

  override _destroy(error: Error | null, done: (error: Error | null) => void): void {
    clearInterval(this.beat);
    if (this.isSocketPaused) this.request.socket.resume();
    if (this.begun) {
      this.request.off('data', this.receive).off('end', this.finish).off('close', this.left);
      this.request.resume(); // what is left of it is not kept, and the connection can be used again
    }
    done(error);
  }

  private readonly receive = (chunk: Buffer): void => {
    this.bytes += chunk.length;
    if (this.bytes > this.options.maxBytes) {
      this.tooLarge = true;
      this.destroy(new Error('the body is too large'));
    } else if (chunk.length < SMALL_BYTES) this.join(chunk);
    else {
      this.pushSmall();
      this.pass(chunk);
    }
  };

  private join(chunk: Buffer): void {
    const { small, request } = this;
    if (small.push(chunk) === 1) setImmediate(this.pushSmall);
    if (small.length < MOST_SMALL || this.isSocketPaused) return;
    this.isSocketPaused = true;
    request.socket.pause(); // or all that has come is read in this turn
  }

  private readonly pushSmall = (): void => {
    const { small, request } = this;
    if (small.length === 0 || this.destroyed) return;
    this.small = [];
    if (this.isSocketPaused) {
      this.isSocketPaused = false;
      request.socket.resume();
    }
    this.pass(Buffer.concat(small));
  };

  private pass(chunk: Buffer): void {
    if (!this.push(chunk)) this.request.pause();
  }

  private readonly finish = (): void => {
    clearInterval(this.beat);
    this.pushSmall();
    this.push(null);
  };

  private readonly left = (): void => {
    if (!this.request.complete) this.destroy(new Error('the client left'));
  };
}
