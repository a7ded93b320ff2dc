import { copyBytes } from '../../base/bytes.ts';
import { EAGAIN, EINTR } from './libc.ts';

/** Keeps the bytes that the kernel would not take yet, for each socket, in order. */

/** Smallest piece of memory for waiting bytes, so that many small writes share one. */
const CHUNK_BYTES = 4096;

interface Chunk {
  readonly bytes: Buffer;
  readonly address: number;
  start: number;
  end: number;
  next: Chunk | undefined;
}

/** What waits for one socket, first to last. */
interface Queue {
  first: Chunk | undefined;
  last: Chunk | undefined;
}

/**
 * Bytes that the kernel would not take yet, by fd. Nothing here limits them: the loop does, by not reading the
 * source of a destination that has bytes waiting.
 */
export interface Outbox {
  /** Bytes waiting, by fd. */
  readonly waiting: Uint32Array;
  push(fd: number, bytes: Uint8Array, start: number, end: number): void;
  /** Sends what the kernel takes. Bytes sent, or the negative errno of an error that ends the socket. */
  flush(fd: number): number;
  clear(fd: number): void;
  /** A copy of what waits, first to last. */
  copy(fd: number): Uint8Array;
}

export type Send = (fd: number, address: number, length: number) => number;
type Pin = (bytes: number) => { readonly bytes: Buffer; readonly address: number };

export function createOutbox(
  capacity: number,
  pin: Pin,
  send: Send,
  /** Something waits there now, and nothing did before. */
  onWaiting: (fd: number) => void,
): Outbox {
  const waiting = new Uint32Array(capacity);
  const queues = new Map<number, Queue>();

  function push(fd: number, bytes: Uint8Array, start: number, end: number): void {
    const length = end - start;
    if (length === 0) return;
    let queue = queues.get(fd);
    if (queue === undefined) {
      queue = { first: undefined, last: undefined };
      queues.set(fd, queue);
      onWaiting(fd);
    }
    let { last } = queue;
    if (last === undefined || last.bytes.length - last.end < length) {
      const chunk = { ...pin(Math.max(CHUNK_BYTES, length)), start: 0, end: 0, next: undefined };
      if (last === undefined) queue.first = chunk;
      else last.next = chunk;
      queue.last = last = chunk;
    }
    copyBytes(bytes, start, end, last.bytes, last.end);
    last.end += length;
    waiting[fd] = (waiting[fd] as number) + length;
  }

  function flush(fd: number): number {
    const queue = queues.get(fd);
    let total = 0;
    let error = 0;
    for (let chunk = queue?.first; queue !== undefined && chunk !== undefined; chunk = queue.first) {
      const sent = send(fd, chunk.address + chunk.start, chunk.end - chunk.start);
      if (sent < 0) {
        if (sent === -EINTR) continue;
        if (sent !== -EAGAIN) error = sent;
        break;
      }
      total += sent;
      chunk.start += sent;
      if (chunk.start < chunk.end) continue; // the next send says EAGAIN, which arms the edge
      queue.first = chunk.next;
      if (queue.first === undefined) queue.last = undefined;
    }
    waiting[fd] = (waiting[fd] as number) - total;
    if (waiting[fd] === 0) queues.delete(fd);
    return error < 0 ? error : total;
  }

  function clear(fd: number): void {
    if (waiting[fd] === 0) return;
    waiting[fd] = 0;
    queues.delete(fd);
  }

  function copy(fd: number): Uint8Array {
    const bytes = new Uint8Array(waiting[fd] as number);
    let at = 0;
    for (let chunk = queues.get(fd)?.first; chunk !== undefined; chunk = chunk.next) {
      copyBytes(chunk.bytes, chunk.start, chunk.end, bytes, at);
      at += chunk.end - chunk.start;
    }
    return bytes;
  }

  return { waiting, push, flush, clear, copy };
}
