import { type ClientRequest, type IncomingMessage, request, STATUS_CODES } from 'node:http';
import { request as requestByTls } from 'node:https';
import type { Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import type { Target } from '../connection/wire.ts';
import type { AddressWalk } from '../nodes/addresses.ts';
import { isUpgraded } from '../protocol/http/upgrade.ts';
import { endPlainly, formatHead } from './answer.ts';
import { type AttemptFailure, failureOf } from './failure.ts';
import type { HttpHost } from './http-host.ts';
import { atAddress } from './node-agents.ts';
import { nodeTls } from './node-tls.ts';
import { answerFields, type Placed } from './placing.ts';

/** So long after the last byte the kernel looks whether a silent peer is still there. */
const KEEP_ALIVE_PROBE_MS = 60_000;

interface TunnelOptions {
  readonly placed: Placed;
  readonly socket: Duplex;
  /** What the client sent behind its request. */
  readonly head: Buffer;
  readonly context: HttpHost;
  /** Told once; `status` is 499 where the client left before the answer. */
  readonly onAnswered: (status: number, nodeId: string | undefined) => void;
}

/**
 * A WebSocket that goes through: the request is sent on a connection of its own, and when the node has changed protocols
 * the two sockets are joined. What the client sends before that waits, and goes nowhere if the node refuses: otherwise
 * it could be taken for another request.
 */
export class Tunnel {
  private readonly options: TunnelOptions;
  private readonly candidates: Iterator<Target, undefined>;
  private readonly deadlineMs: number;
  private attempts = 0;
  private asked: ClientRequest | undefined;
  private target: Target | undefined;
  /** Through the addresses of the node that is asked, where it has several. */
  private walk: AddressWalk | undefined;
  private isCounted = false;
  private failure: AttemptFailure | undefined;
  private isAnswered = false;

  constructor(options: TunnelOptions) {
    this.options = options;
    const { route, sourceAddress, recalled } = options.placed;
    this.candidates = route.candidates(sourceAddress, recalled?.nodes ?? []);
    this.deadlineMs = options.context.now() + route.upstream.deadlineMs;
  }

  begin(): void {
    const { socket } = this.options;
    socket.on('error', () => socket.destroy());
    socket.once('close', () => {
      this.asked?.destroy();
      this.answered(499);
      this.leaveNode();
    });
    this.next();
  }

  private next(): void {
    const { context, placed, socket } = this.options;
    const { maxAttempts } = placed.route.upstream;
    while (this.attempts < maxAttempts && context.now() < this.deadlineMs && !socket.destroyed) {
      const { value: candidate, done } = this.candidates.next();
      if (done) break;
      if (!context.take(candidate)) continue;
      this.attempts++;
      this.walk = candidate.addresses?.walk();
      return this.attempt(atAddress(candidate, this.walk?.next()));
    }
    const { status, detail } = this.failure ?? { status: 503, detail: 'no node takes requests now' };
    this.refuse(status, detail);
  }

  private attempt(target: Target): void {
    const { context, placed } = this.options;
    const { upstream, tls } = placed.route;
    const secured = target.tls && nodeTls(target.tls, tls).options;
    this.target = target;
    this.isCounted = true;
    const asked = (secured === undefined ? request : requestByTls)({
      ...secured,
      ...{ host: target.host, port: target.port, localAddress: target.sourceAddress },
      ...{ method: 'GET', path: placed.request.target, agent: false, setHost: false },
      maxHeaderSize: context.limits.maxHeadBytes,
      headers: [...placed.fields, 'Connection', 'Upgrade', 'Upgrade', 'websocket'],
      timeout: upstream.connectTimeoutMs,
    });
    this.asked = asked;
    let sentAtMs = 0;
    asked.once('socket', (link) =>
      link.once(secured === undefined ? 'connect' : 'secureConnect', () => {
        this.walk?.reached();
        sentAtMs = context.now();
        link.setNoDelay(true);
        link.setTimeout(upstream.http.answerTimeoutMs);
      }),
    );
    asked.once('timeout', () => asked.destroy(Object.assign(new Error('timeout'), { code: 'ETIMEDOUT' })));
    asked.once('upgrade', (answer, link: Socket, first) =>
      this.guard(link, () => {
        context.answered(target, context.now() - sentAtMs);
        this.join(answer, link, first);
      }),
    );
    asked.once('response', (answer) =>
      this.guard(answer, () => {
        context.answered(target, context.now() - sentAtMs);
        this.passRefusal(answer);
      }),
    );
    asked.once('error', (error) => this.guard(undefined, () => this.failed(target, error, sentAtMs > 0)));
    asked.end();
  }

  /** A fault of ours ends this WebSocket, and what its node has answered on, and nothing else. */
  private guard(answered: { destroy(): unknown } | undefined, run: () => void): void {
    const { context, socket } = this.options;
    try {
      run();
    } catch (error) {
      context.fault(error);
      answered?.destroy();
      socket.destroy();
    }
  }

  private failed(target: Target, error: Error, isSent: boolean): void {
    const { context, socket } = this.options;
    if (this.isAnswered || socket.destroyed) return;
    this.leaveNode();
    this.failure = failureOf(error, isSent);
    const { dial, code, status, detail, isClosed } = this.failure;
    const host = dial === undefined ? undefined : this.walk?.next();
    if (host !== undefined && context.take(target)) return this.attempt(atAddress(target, host));
    if (dial !== undefined) context.dialFailed(target, dial, code);
    if (dial !== undefined || isClosed) return this.next();
    this.refuse(status, detail);
  }

  /** The node has changed protocols. */
  private join(answer: IncomingMessage, link: Socket, first: Buffer): void {
    const { socket, head, placed } = this.options;
    const { target } = this;
    if (target === undefined || !isUpgraded(answer.rawHeaders) || socket.destroyed) {
      link.destroy();
      this.leaveNode();
      return this.refuse(502, 'the node gave no proper answer');
    }
    const fields = answerFields(placed, answer.rawHeaders, target.nodeId);
    socket.write(
      formatHead(101, STATUS_CODES[101] ?? '', ['Connection', 'Upgrade', 'Upgrade', 'websocket', ...fields]),
    );
    this.answered(101);
    link.setTimeout(0);
    link.setKeepAlive(true, KEEP_ALIVE_PROBE_MS);
    link.on('error', () => link.destroy());
    if (first.length > 0) socket.write(first);
    if (head.length > 0) link.write(head);
    socket.pipe(link);
    link.pipe(socket);
    link.once('close', () => {
      this.leaveNode();
      endSoon(socket);
    });
    socket.once('close', () => endSoon(link));
  }

  /** The node answers in HTTP: so does the client get it, and its connection ends behind the body. */
  private passRefusal(answer: IncomingMessage): void {
    const { socket, placed } = this.options;
    const { statusCode = 502, statusMessage = '', rawHeaders } = answer;
    const fields = answerFields(placed, rawHeaders, this.target?.nodeId ?? '');
    this.answered(statusCode);
    socket.write(formatHead(statusCode, statusMessage, [...fields, 'Connection', 'close']));
    answer.on('error', () => socket.destroy());
    answer.once('end', () => this.leaveNode());
    answer.pipe(socket);
  }

  private refuse(status: number, detail: string): void {
    if (this.isAnswered) return;
    this.answered(status);
    if (!this.options.socket.destroyed) endPlainly(this.options.socket, status, detail);
  }

  private answered(status: number): void {
    if (this.isAnswered) return;
    this.isAnswered = true;
    this.options.onAnswered(status, this.target?.nodeId);
  }

  private leaveNode(): void {
    if (!this.isCounted || this.target === undefined) return;
    this.isCounted = false;
    this.options.context.release(this.target);
  }
}

/** Sends what waits, and closes. */
function endSoon(socket: Duplex): void {
  if ('destroySoon' in socket && typeof socket.destroySoon === 'function') socket.destroySoon();
  else socket.destroy();
}
