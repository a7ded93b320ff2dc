import { EPOLLET, EPOLLIN, EPOLLOUT, EPOLLPRI, EPOLLRDHUP } from './libc.ts';

/** What the loop asks of whoever watches descriptors: which are watched, and what has happened at them. */

/** Edge-triggered: most sockets are registered once in their life. */
export const READ_EVENTS = (EPOLLIN | EPOLLPRI | EPOLLRDHUP | EPOLLET) >>> 0;
export const STREAM_EVENTS = (READ_EVENTS | EPOLLOUT) >>> 0;

/**
 * Watches descriptors. Events are those of epoll_ctl(2): with EPOLLET they are told when something changes, else as long as
 * they hold. After `wait` or `look` returned n, event i < n is in `words` at `i * stride`: its mask there, then at
 * `+ fdAt` the fd and at `+ generationAt` the generation that were given to `add`.
 */
export interface Poller {
  readonly words: Uint32Array;
  readonly stride: number;
  readonly fdAt: number;
  readonly generationAt: number;
  /** How often `look` is called where something is expected: about ten microseconds. */
  readonly looks: number;
  /** A descriptor that is connected anew is still watched, under the generation that it was added with. */
  readonly keepsWatching: boolean;
  /** Returns 0, or the negative errno (ENOMEM and ENOSPC are the ones that can happen). */
  add(fd: number, generation: number, events: number): number;
  modify(fd: number, generation: number, events: number): number;
  remove(fd: number): void;
  /** The descriptor is about to be closed. */
  forget(fd: number): void;
  /** True when the kernel has finished everything that was asked of a forgotten descriptor that stays open. */
  isLetGo(fd: number): boolean;
  /** Sleeps until something happens. Number of events, or the negative errno (EINTR). */
  wait(timeoutMs: number): number;
  /** The same, and where nothing has happened yet, what happens within some 0.1 ms is told together. */
  gather(timeoutMs: number): number;
  /** The same without sleeping. */
  look(): number;
  close(): void;
}
