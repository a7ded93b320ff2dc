/** The connection to Redis: it is opened again whenever it ends, and no command waits longer than its time. */

import { BreakwaterError, messageOf } from '../../base/errors.ts';
import type { Random } from '../../base/time.ts';
import type { Resolve } from '../../protocol/address/lookup.ts';
import { openConnection, type RedisConnection } from './redis-connection.ts';
import type { Script } from './redis-script.ts';
import { locate, type RedisTarget } from './redis-target.ts';

export type RunScript = (
  script: Script,
  keys: readonly string[],
  args: readonly (string | number)[],
  /** Default: the command timeout. */
  timeoutMs?: number,
) => Promise<unknown>;

interface LinkOptions {
  readonly target: RedisTarget;
  readonly resolve: Resolve;
  readonly name: string;
  readonly channels: readonly string[];
  readonly connectTimeoutMs: number;
  readonly commandTimeoutMs: number;
  readonly reconnectDelayMaxMs: number;
  readonly random: Random;
  onMessage(channel: string, text: string): void;
  /** Connected and subscribed; the link is up when this has resolved. */
  onConnect(): Promise<void>;
  onUp(): void;
  /** Also when an attempt to connect has failed. */
  onDown(cause: string): void;
}

/** Commands that wait for their answer at one time; about two seconds of what a full proxy sends. */
const PENDING_MAX = 16_384;
const RECONNECT_DELAY_MS = 50;
/** Answers of a server that is not, or no longer, the one to talk to. */
const WRONG_SERVER = /^(READONLY|LOADING|MASTERDOWN|CLUSTERDOWN|UNBLOCKED)\b/;

/** Keeps one connection to Redis: opens it, notices its end, and opens the next, from `start` to `close`. */
export class RedisLink {
  private readonly options: LinkOptions;
  private readonly commands: PendingCommands;
  private connection: RedisConnection | undefined;
  private up = false;
  private closed = false;
  private why = 'not connected yet';
  private end = (_cause: string): void => {};
  private wake = (): void => {};
  private kept: Promise<void> | undefined;

  constructor(options: LinkOptions) {
    this.options = options;
    this.commands = new PendingCommands(
      (cause) => this.unavailable(cause),
      (cause) => this.end(cause),
    );
  }

  start(): void {
    this.kept ??= this.keep();
  }

  isUp(): boolean {
    return this.up;
  }

  /** Why nothing can be asked at present. */
  cause(): string {
    return this.why;
  }

  /** STORE_UNAVAILABLE with its cause, and the remedy. */
  unavailable(cause = this.why): BreakwaterError {
    return new BreakwaterError(
      'STORE_UNAVAILABLE',
      `Redis at ${this.options.target.label} cannot be used: ${cause}; start it or correct membership.url, then try again (it is connected again by itself)`,
      { cause },
    );
  }

  /** Never waits longer than the timeout. @throws BreakwaterError STORE_UNAVAILABLE */
  readonly run: RunScript = (script, keys, args, timeoutMs = this.options.commandTimeoutMs) =>
    this.commands.send(this.connection, (used) => used.evaluate(script, keys, args), timeoutMs);

  /** As `run`, with the command timeout. */
  async publish(channel: string, text: string): Promise<void> {
    const { commandTimeoutMs } = this.options;
    await this.commands.send(this.connection, (used) => used.publish(channel, text), commandTimeoutMs);
  }

  /** Gives the present connection up, as if it had ended. */
  fail(cause: string): void {
    this.end(cause);
  }

  async close(): Promise<void> {
    this.closed = true;
    this.why = 'this proxy has closed its connection';
    this.end(this.why);
    this.wake();
    await this.kept;
  }

  private async keep(): Promise<void> {
    const { reconnectDelayMaxMs, onDown } = this.options;
    for (let failures = 0; !this.closed; failures++) {
      const life = await this.live(failures);
      if (life.wasUp) failures = 0;
      this.why = life.cause;
      if (this.closed) return;
      onDown(life.cause);
      await this.pause(Math.min(reconnectDelayMaxMs, RECONNECT_DELAY_MS * 2 ** Math.min(failures, 16)));
    }
  }

  /** One connection from its opening to its end. @returns why it ended */
  private async live(attempt: number): Promise<{ cause: string; wasUp: boolean }> {
    const { target, resolve, name, channels, connectTimeoutMs: timeoutMs, onMessage } = this.options;
    const ended = new Promise<string>((resolveEnd) => {
      this.end = resolveEnd;
    });
    const onEnd = this.end;
    let wasUp = false;
    let opened: RedisConnection | undefined;
    let isOver = false;
    const bound = setTimeout(() => onEnd(`it did not answer within ${timeoutMs} ms`), timeoutMs);
    const begin = async (): Promise<void> => {
      const located = await locate(target, resolve);
      if (isOver) return;
      opened = openConnection({ target: located, name, timeoutMs, attempt, channels, onMessage, onEnd });
      await opened.ready;
      clearTimeout(bound);
      this.connection = opened;
      await this.options.onConnect();
      if (this.connection !== opened) return;
      this.up = wasUp = true;
      this.options.onUp();
    };
    begin().catch((error) => onEnd(whyOf(error)));
    const cause = await ended;
    isOver = true;
    clearTimeout(bound);
    this.connection = undefined;
    this.up = false;
    opened?.close();
    this.commands.failAll(cause);
    return { cause, wasUp };
  }

  /** Jitter, so that all proxies do not come back in one moment. */
  private async pause(ms: number): Promise<void> {
    if (this.closed) return;
    await new Promise<void>((resolve) => {
      const timer = setTimeout(resolve, ms * (0.5 + this.options.random() / 2));
      this.wake = () => {
        clearTimeout(timer);
        resolve();
      };
    });
  }
}

/** Commands that wait for their answer: their number and their time are bounded. */
class PendingCommands {
  private readonly failures = new Set<(cause: string) => void>();
  private readonly unavailable: (cause?: string) => BreakwaterError;
  private readonly endConnection: (cause: string) => void;

  constructor(unavailable: (cause?: string) => BreakwaterError, endConnection: (cause: string) => void) {
    this.unavailable = unavailable;
    this.endConnection = endConnection;
  }

  /** A time-out ends the connection: what is half open would hold up every other command too. */
  send<T>(
    connection: RedisConnection | undefined,
    command: (connection: RedisConnection) => Promise<T>,
    timeoutMs: number,
  ): Promise<T> {
    if (connection === undefined) return Promise.reject(this.unavailable());
    if (this.failures.size >= PENDING_MAX) {
      return Promise.reject(this.unavailable(`${PENDING_MAX} commands wait for it already`));
    }
    return new Promise<T>((resolve, reject) => {
      const forget = (): void => {
        clearTimeout(timer);
        this.failures.delete(fail);
      };
      const fail = (why: string): void => {
        forget();
        reject(this.unavailable(why));
      };
      const late = (): void => {
        if (this.failures.has(fail)) this.endConnection(`it did not answer within ${timeoutMs} ms`);
      };
      // After a stall of this process the answer may lie in the socket: it is read before the verdict.
      const timer = setTimeout(() => setImmediate(late), timeoutMs);
      this.failures.add(fail);
      command(connection).then(
        (value) => {
          forget();
          resolve(value);
        },
        (error) => {
          const text = messageOf(error);
          fail(text);
          if (WRONG_SERVER.test(text)) this.endConnection(text);
        },
      );
    });
  }

  failAll(cause: string): void {
    for (const fail of [...this.failures]) fail(cause);
  }
}

/** Without the frame that `unavailable` puts around it. */
export function whyOf(error: unknown): string {
  return error instanceof BreakwaterError && typeof error.cause === 'string' ? error.cause : messageOf(error);
}
