import type { Socket } from 'node:net';
import type { HeaderRefusal, ProxyProtocolOptions } from '../../protocol/proxy-protocol/expect.ts';
import type { ProxyHeader } from '../../protocol/proxy-protocol/header.ts';
import { expectations, MAX_HEADERS, type OnHeaderRefused } from '../headers.ts';
import { plainAddress } from './addresses.ts';
import { readHeader } from './header-reader.ts';

/** Keeps accepted sockets until their PROXY protocol header is whole, or refused. */

interface Listener {
  readonly expect: ReturnType<typeof expectations>;
  readonly timeoutMs: number;
}

/** The device is known, or comes from no proxy: what is left in the socket is its own, behind `headerBytes`. */
type Admit = (
  socket: Socket,
  listenerIndex: number,
  header: ProxyHeader | undefined,
  headerBytes: number,
) => void;

/** Accepted sockets that owe a PROXY protocol header. A device behind a proxy is asked for when it is known which one it is. */
export class PendingHeaders {
  private readonly admit: Admit;
  private readonly onRefused: OnHeaderRefused | undefined;
  /** What is expected at listeners that proxies stand before, by index. */
  private readonly listeners = new Map<number, Listener>();
  /** Where each socket was accepted. */
  private readonly pending = new Map<Socket, number>();

  constructor(admit: Admit, onRefused: OnHeaderRefused | undefined) {
    this.admit = admit;
    this.onRefused = onRefused;
  }

  /** From now on. @throws Error where a network cannot be read */
  configure(listenerIndex: number, options: ProxyProtocolOptions | undefined): void {
    if (options === undefined) this.listeners.delete(listenerIndex);
    else this.listeners.set(listenerIndex, { expect: expectations(options), timeoutMs: options.timeoutMs });
  }

  /** A socket was accepted. */
  accepted(socket: Socket, listenerIndex: number): void {
    const listener = this.listeners.get(listenerIndex);
    const address = plainAddress(socket.remoteAddress);
    const expectation = listener?.expect(address) ?? 'skip';
    if (listener === undefined || expectation === 'skip')
      return this.admit(socket, listenerIndex, undefined, 0);
    const refused = (refusal: HeaderRefusal): void => {
      this.pending.delete(socket);
      this.onRefused?.(listenerIndex, refusal, address);
    };
    const refusal = expectation === 'refuse' ? 'untrusted' : this.pending.size >= MAX_HEADERS && 'too-many';
    if (refusal || expectation === 'refuse') {
      socket.on('error', () => undefined).resetAndDestroy();
      if (refusal) refused(refusal);
      return;
    }
    this.pending.set(socket, listenerIndex);
    readHeader(socket, {
      ...{ expectation, timeoutMs: listener.timeoutMs, refused },
      left: () => this.pending.delete(socket),
      done: (header, headerBytes) => {
        this.pending.delete(socket);
        this.admit(socket, listenerIndex, header, headerBytes);
      },
    });
  }

  /** Resets those that still owe their header, of one listener or of all. */
  close(listenerIndex?: number): void {
    for (const [socket, index] of this.pending) {
      if (listenerIndex === undefined || index === listenerIndex) socket.resetAndDestroy();
    }
  }
}
