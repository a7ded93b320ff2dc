/** What is said between the main thread and a worker while one process hands over to another; see `messages.ts`. */

export type HandOverCommand =
  /** Which sockets listen. Answered by `descriptors`. */
  | { readonly type: 'listening'; readonly request: number }
  /** Accepts nobody, or goes on: whoever connects meanwhile waits. The HTTP thread accepts all the same. */
  | { readonly type: 'hold'; readonly on: boolean }
  /** Another process accepts from now on: listening sockets are closed, and all else goes on. To the HTTP thread it is `stop`. */
  | { readonly type: 'leave' };

/** The sockets of one listener. */
interface Listening {
  readonly index: number;
  readonly descriptors: readonly number[];
}

export type HandOverReport = {
  readonly type: 'descriptors';
  readonly request: number;
  readonly listeners: readonly Listening[];
};
