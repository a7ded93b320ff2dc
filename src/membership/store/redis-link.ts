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

/** Keeps one connection to Redis: opens it, notices its end, and opens the next. */
interface RedisLink {
  start(): void;
  isUp(): boolean;
  /** Why nothing can be asked now. */
  cause(): string;
  /** STORE_UNAVAILABLE with that cause, and the remedy. */
  unavailable(): BreakwaterError;
  /** Never waits longer than the timeout. @throws BreakwaterError STORE_UNAVAILABLE */
  run: RunScript;
  /** As `run`, with the command timeout. */
  publish(channel: string, text: string): Promise<void>;
  /** Gives the present connection up, as if it had ended. */
  fail(cause: string): void;
  close(): Promise<void>;
}

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

export function keepLink(options: LinkOptions): RedisLink {
  const { target, commandTimeoutMs } = options;
  const pending = new Set<(cause: string) => void>();
  let connection: RedisConnection | undefined;
  let up = false;
  let closed = false;
  let cause = 'not connected yet';
  let end = (_cause: string): void => {};
  let wake = (): void => {};

  const unavailable = (why: string): BreakwaterError =>
    new BreakwaterError(
      'STORE_UNAVAILABLE',
      `Redis at ${target.label} cannot be used: ${why}; start it or correct membership.url, then try again (it is connected again by itself)`,
      { cause: why },
    );

  /** Bounds the wait. A time-out ends the connection: what is half open would hold up every other command too. */
  function bounded<T>(work: (connection: RedisConnection) => Promise<T>, timeoutMs: number): Promise<T> {
    if (connection === undefined) return Promise.reject(unavailable(cause));
    if (pending.size >= PENDING_MAX) {
      return Promise.reject(unavailable(`${PENDING_MAX} commands wait for it already`));
    }
    const used = connection;
    return new Promise<T>((resolve, reject) => {
      const settle = (): void => {
        clearTimeout(timer);
        pending.delete(give);
      };
      const give = (why: string): void => {
        settle();
        reject(unavailable(why));
      };
      const late = (): void => {
        if (pending.has(give)) end(`it did not answer within ${timeoutMs} ms`);
      };
      // After a stall of this process the answer may lie in the socket: it is read before the verdict.
      const timer = setTimeout(() => setImmediate(late), timeoutMs);
      pending.add(give);
      work(used).then(
        (value) => {
          settle();
          resolve(value);
        },
        (error) => {
          const text = messageOf(error);
          give(text);
          if (WRONG_SERVER.test(text)) end(text);
        },
      );
    });
  }

  /** One connection from its opening to its end. @returns why it ended */
  async function live(attempt: number): Promise<{ cause: string; wasUp: boolean }> {
    let wasUp = false;
    const ended = new Promise<string>((resolve) => {
      end = resolve;
    });
    const { name, channels, connectTimeoutMs: timeoutMs, onMessage } = options;
    const onEnd = end;
    let opened: RedisConnection | undefined;
    let isOver = false;
    const bound = setTimeout(() => onEnd(`it did not answer within ${timeoutMs} ms`), timeoutMs);
    const begin = async (): Promise<void> => {
      const located = await locate(target, options.resolve);
      if (isOver) return;
      opened = openConnection({ target: located, name, timeoutMs, attempt, channels, onMessage, onEnd });
      await opened.ready;
      clearTimeout(bound);
      connection = opened;
      await options.onConnect();
      if (connection !== opened) return;
      up = wasUp = true;
      options.onUp();
    };
    begin().catch((error) => onEnd(whyOf(error)));
    const why = await ended;
    isOver = true;
    clearTimeout(bound);
    connection = undefined;
    up = false;
    opened?.close();
    for (const give of [...pending]) give(why);
    return { cause: why, wasUp };
  }

  async function keep(): Promise<void> {
    for (let failures = 0; !closed; failures++) {
      const life = await live(failures);
      if (life.wasUp) failures = 0;
      cause = life.cause;
      if (closed) return;
      options.onDown(cause);
      await pause(Math.min(options.reconnectDelayMaxMs, RECONNECT_DELAY_MS * 2 ** Math.min(failures, 16)));
    }
  }

  /** Jitter, so that all proxies do not come back in one moment. */
  async function pause(ms: number): Promise<void> {
    if (closed) return;
    await new Promise<void>((resolve) => {
      const timer = setTimeout(resolve, ms * (0.5 + options.random() / 2));
      wake = () => {
        clearTimeout(timer);
        resolve();
      };
    });
  }

  let kept: Promise<void> | undefined;

  return {
    start() {
      kept ??= keep();
    },
    isUp: () => up,
    cause: () => cause,
    unavailable: () => unavailable(cause),
    run: (script, keys, args, timeoutMs = commandTimeoutMs) =>
      bounded((used) => used.evaluate(script, keys, args), timeoutMs),
    publish: async (channel, text) => {
      await bounded((used) => used.publish(channel, text), commandTimeoutMs);
    },
    fail: (why) => end(why),
    async close() {
      closed = true;
      cause = 'this proxy has closed its connection';
      end(cause);
      wake();
      await kept;
    },
  };
}

/** Without the frame that `unavailable` puts around it. */
export function whyOf(error: unknown): string {
  return error instanceof BreakwaterError && typeof error.cause === 'string' ? error.cause : messageOf(error);
}
