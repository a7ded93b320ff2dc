/** Takes the PROXY protocol header off a socket of `node:net` before anybody else reads it. */

import type { Socket } from 'node:net';
import { decodeProxyHeader } from '../../protocol/proxy-protocol/decode.ts';
import type { HeaderRefusal } from '../../protocol/proxy-protocol/expect.ts';
import type { ProxyHeader } from '../../protocol/proxy-protocol/header.ts';
import { judgeHeader } from '../headers.ts';

interface HeaderReading {
  readonly expectation: 'read' | 'peek';
  readonly timeoutMs: number;
  /** The device's own bytes are the next of the socket, which is paused; `headerBytes` were taken before them. */
  readonly done: (header: ProxyHeader | undefined, headerBytes: number) => void;
  readonly refused: (refusal: HeaderRefusal) => void;
  /** It ended by itself, or was closed. */
  readonly left: () => void;
}

/** Takes a PROXY protocol header off a socket that nobody else reads yet. Exactly one of the three answers is given. */
export function readHeader(socket: Socket, reading: HeaderReading): void {
  /** Of which nothing more can be said before so many bytes are there. */
  let pieces: Buffer[] = [];
  let length = 0;
  let wantedBytes = 1;
  const late = setTimeout(() => refuse('timeout'), reading.timeoutMs);

  function stop(): void {
    clearTimeout(late);
    socket.off('data', read).off('end', leave).off('error', leave).off('close', leave);
  }

  function leave(): void {
    stop();
    socket.on('error', () => undefined);
    socket.destroy();
    reading.left();
  }

  function refuse(refusal: HeaderRefusal): void {
    stop();
    socket.on('error', () => undefined);
    socket.resetAndDestroy();
    reading.refused(refusal);
  }

  function read(chunk: Buffer): void {
    pieces.push(chunk);
    length += chunk.length;
    if (length < wantedBytes) return;
    const bytes = pieces.length === 1 ? chunk : Buffer.concat(pieces);
    pieces = [bytes];
    const verdict = judgeHeader(decodeProxyHeader(bytes, 0, bytes.length), reading.expectation);
    if (verdict.kind === 'wait') {
      wantedBytes = verdict.wantedBytes;
      return;
    }
    if (verdict.kind === 'reset') return refuse(verdict.refusal);
    stop();
    socket.pause();
    if (verdict.end < bytes.length) socket.unshift(bytes.subarray(verdict.end));
    reading.done(verdict.header, verdict.end);
  }

  socket.on('data', read).on('end', leave).on('error', leave).on('close', leave);
}
