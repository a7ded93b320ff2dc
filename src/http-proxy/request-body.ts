import type { IncomingMessage } from 'node:http';
import { Readable } from 'node:stream';

export interface BodyOptions {
  readonly maxBytes: number;
  /** Called when the first node begins to take it: a client that waits for 100 Continue may send. */
  readonly onBegin: () => void;
}

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

  override _read(): void {
    if (this.begun) {
      this.request.resume();
      return;
    }
    this.begun = true;
    this.options.onBegin();
    this.request.on('data', this.receive).on('end', this.finish).on('close', this.left);
  }

  override _destroy(error: Error | null, done: (error: Error | null) => void): void {
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
    } else if (!this.push(chunk)) this.request.pause();
  };

  private readonly finish = (): void => {
    this.push(null);
  };

  private readonly left = (): void => {
    if (!this.request.complete) this.destroy(new Error('the client left'));
  };
}
