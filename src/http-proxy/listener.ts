import {
  createServer,
  type IncomingMessage,
  type Server,
  type ServerOptions,
  type ServerResponse,
} from 'node:http';
import type { Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import { systemTimers } from '../base/time.ts';
import type { ListenOptions } from '../engine/engine.ts';
import type { TlsOptions } from '../engine/tls.ts';
import { eachField } from '../protocol/http/fields.ts';
import { asksForWebSocket, upgradeRefusal } from '../protocol/http/upgrade.ts';
import { answerPlainly, endPlainly } from './answer.ts';
import { Exchange } from './exchange.ts';
import { Front, type FrontOptions, type HttpAddress, type HttpPeer } from './front.ts';
import { HttpClient } from './http-client.ts';
import type { HttpHost, HttpRefusal } from './http-host.ts';
import { InTurn } from './in-turn.ts';
import type { NodeAgents } from './node-agents.ts';
import { type Placed, place } from './placing.ts';
import { Tunnel } from './tunnel.ts';

/** How often requests are looked at that take too long. */
const CHECK_MS = 1_000;

/** One HTTP listener: accepts, reads requests strictly, and has each answered by a node. */
export class HttpListener {
  private readonly context: HttpHost;
  private readonly agents: NodeAgents;
  private readonly server: Server;
  private readonly front: Front;
  /** All connections that HTTP, or what it was exchanged for, is spoken on. */
  readonly clients = new Set<HttpClient>();
  private readonly clientOf = new WeakMap<Duplex, HttpClient>();
  private readonly peers = new WeakMap<Duplex, HttpPeer>();
  /** The answer that is under way on a connection, for errors of its parser. */
  private readonly answers = new WeakMap<Duplex, ServerResponse>();
  private readonly inTurn = new InTurn();
  private isStopping = false;

  /** @throws BreakwaterError TLS_INVALID */
  constructor(context: HttpHost, agents: NodeAgents, options: FrontOptions) {
    this.context = context;
    this.agents = agents;
    this.server = createServer(serverOptions(context));
    this.server.emit('listening'); // it never does, the front does; this makes it look for requests that take too long
    this.front = new Front(context, options, (socket, peer) => {
      this.peers.set(socket, peer);
      this.follow(socket, peer);
      this.server.emit('connection', socket);
    });
    this.server.maxHeadersCount = 0; // we count them ourselves; Node would leave the rest out in silence
    const serve = (incoming: IncomingMessage, response: ServerResponse, expectsContinue: boolean): void => {
      const client = this.clientOf.get(incoming.socket);
      client?.began();
      response.once('close', () => client?.answered());
      this.inTurn.run(incoming.socket, response, () =>
        this.guard(incoming, () => this.exchange(incoming, response, expectsContinue)),
      );
    };
    this.server.on('request', (incoming, response) => serve(incoming, response, false));
    this.server.on('checkContinue', (incoming, response) => serve(incoming, response, true));
    this.server.on('upgrade', (incoming, socket, head) =>
      this.guard(incoming, () => this.upgrade(incoming, socket, head)),
    );
    this.server.on('connect', (incoming: IncomingMessage, socket: Duplex) =>
      this.guard({ socket }, () => {
        socket.on('error', () => socket.destroy());
        endPlainly(socket, 405, 'no CONNECT');
        this.told(incoming, undefined, 405, undefined, this.context.now());
      }),
    );
    this.server.on('clientError', (error, socket) =>
      this.guard({ socket }, () => this.unreadable(error, socket)),
    );
  }

  /** Once more behind `unlisten`. `isHeld`: nobody is accepted before `open`. @throws BreakwaterError ADDRESS_IN_USE, ADDRESS_NOT_AVAILABLE */
  listen(options: ListenOptions): Promise<HttpAddress> {
    return this.front.listen(options);
  }

  /** Of the listening socket, if there is one. */
  get descriptors(): readonly number[] {
    return this.front.descriptors;
  }

  /** Begins to accept where it was bound `isHeld`. */
  open(): void {
    this.front.open();
  }

  /** What has changed of the configuration. @throws BreakwaterError TLS_INVALID; then the former certificates stay */
  applySettings(options: FrontOptions): void {
    Object.assign(this.server, serverLimits(this.context)); // Node reads them for each connection, or each request
    this.front.applySettings(options);
  }

  /** @throws BreakwaterError TLS_INVALID; then the former ones stay */
  updateTls(tls: TlsOptions): void {
    this.front.updateTls(tls);
  }

  /** Accepts no more; connections go on. */
  unlisten(): void {
    this.front.unlisten();
  }

  /**
   * Accepts no more; the next answer on each connection says that it is the last one there (RFC 9112 section 9.6). Idle ones are
   * closed by their own time only: a request that crosses the close would fail, and a client does not repeat each (RFC 9110 section 9.2.2).
   */
  leave(): void {
    this.isStopping = true;
    this.front.unlisten();
  }

  /** Closes idle connections, and resets what is left. */
  close(): void {
    this.isStopping = true;
    this.server.closeIdleConnections();
    this.front.close();
    this.server.close();
  }

  private follow(socket: Socket, { address }: HttpPeer): void {
    const client = new HttpClient(socket, systemTimers, address);
    this.clients.add(client);
    this.clientOf.set(socket, client);
    socket.once('close', () => {
      client.left();
      this.clients.delete(client);
    });
  }

  private exchange(incoming: IncomingMessage, response: ServerResponse, expectsContinue: boolean): void {
    const { context, agents } = this;
    const startedMs = context.now();
    this.answers.set(incoming.socket, response);
    response.on('error', () => response.destroy());
    const placed = this.placed(incoming);
    if ('status' in placed) {
      response.once('close', () => this.told(incoming, undefined, placed.status, undefined, startedMs));
      answerPlainly(response, placed.status, placed.detail);
      incoming.resume();
      return;
    }
    const client = this.clientOf.get(incoming.socket);
    const isLast = (): boolean => this.isStopping || client?.isAtLast === true;
    const exchange = new Exchange({ placed, incoming, response, context, agents, expectsContinue, isLast });
    response.once('close', () => {
      this.told(incoming, placed, exchange.status, exchange.nodeId, startedMs);
    });
    exchange.begin();
  }

  private placed(incoming: IncomingMessage): Placed | HttpRefusal {
    const placed = place(incoming, this.peerOf(incoming.socket), this.context);
    if ('status' in placed) return placed;
    const { target, contentLength } = placed.request;
    if (target === '*') return { status: 204, detail: '' }; // what the whole server can do, which is nothing in particular
    const isTooLarge = contentLength !== undefined && contentLength > this.context.limits.maxBodyBytes;
    return isTooLarge ? { status: 413, detail: 'the body is too large' } : placed;
  }

  private upgrade(incoming: IncomingMessage, socket: Duplex, head: Buffer): void {
    if (this.inTurn.isBusy(socket))
      socket.destroy(); // its answer would come before those that it must follow
    else if (asksForWebSocket(incoming.rawHeaders)) this.tunnel(incoming, socket, head);
    else this.readAgain(incoming, socket, head);
  }

  /** Node has let go of a connection that asks for another protocol: it is read anew, without that wish. */
  private readAgain(incoming: IncomingMessage, socket: Duplex, head: Buffer): void {
    const { method = '', url = '', httpVersion, rawHeaders } = incoming;
    let text = `${method} ${url} HTTP/${httpVersion}\r\n`;
    for (const [name, value] of eachField(rawHeaders))
      if (!/^(upgrade|http2-settings)$/i.test(name)) text += `${name}: ${value}\r\n`;
    socket.unshift(Buffer.concat([Buffer.from(`${text}\r\n`, 'latin1'), head]));
    this.server.emit('connection', socket);
  }

  private tunnel(incoming: IncomingMessage, socket: Duplex, head: Buffer): void {
    const { context } = this;
    const startedMs = context.now();
    const placed = place(incoming, this.peerOf(socket), context);
    const refusal = 'status' in placed ? placed : upgradeRefusal(placed.request);
    if (refusal !== undefined || 'status' in placed) {
      socket.on('error', () => socket.destroy());
      const { status, detail } = refusal ?? { status: 400, detail: '' };
      endPlainly(socket, status, detail);
      return this.told(incoming, undefined, status, undefined, startedMs);
    }
    const onAnswered = (status: number, node: string | undefined): void => {
      if (status === 101) this.clientOf.get(socket)?.joined();
      this.told(incoming, placed, status, node, startedMs);
    };
    new Tunnel({ placed, socket, head, context, onAnswered }).begin();
  }

  /** What the parser refuses, or what did not come in time. */
  private unreadable(error: NodeJS.ErrnoException, socket: Duplex): void {
    const isParsed = /^(HPE_|ERR_HTTP_)/.test(error.code ?? ''); // all else is the connection's own end
    if (!isParsed || !socket.writable || this.answers.get(socket)?.headersSent) {
      socket.destroy(); // in the middle of an answer there is no place for another
      return;
    }
    const [status, detail] = parserErrors[error.code ?? ''] ?? [400, 'the request is not proper HTTP'];
    endPlainly(socket, status, detail);
    const remoteAddress = this.peerOf(socket).address;
    this.context.requested({
      ...{ remoteAddress, method: '', host: '', path: '', status, node: undefined, durationMs: 0 },
    });
  }

  private told(
    incoming: IncomingMessage,
    placed: Placed | undefined,
    status: number,
    node: string | undefined,
    startedMs: number,
  ): void {
    const { host = '', path = '' } = placed?.request ?? {};
    const remoteAddress = placed?.sourceAddress ?? this.peerOf(incoming.socket).address;
    const durationMs = this.context.now() - startedMs;
    this.context.requested({
      remoteAddress,
      method: incoming.method ?? '',
      host,
      path,
      status,
      node,
      durationMs,
    });
  }

  private peerOf(socket: Duplex): HttpPeer {
    return this.peers.get(socket) ?? { address: '', tls: undefined };
  }

  /** One fault ends one request, and its connection. */
  private guard({ socket }: { readonly socket: Duplex }, run: () => void): void {
    try {
      run();
    } catch (error) {
      this.context.fault(error);
      socket.destroy();
    }
  }
}

const parserErrors: Readonly<Record<string, readonly [number, string]>> = {
  HPE_HEADER_OVERFLOW: [431, 'the header fields are too large'],
  HPE_CHUNK_EXTENSIONS_OVERFLOW: [413, 'the chunk extensions are too large'],
  ERR_HTTP_REQUEST_TIMEOUT: [408, 'the request took too long'],
};

function serverOptions(context: HttpHost): ServerOptions {
  return {
    insecureHTTPParser: false,
    ...serverLimits(context),
    connectionsCheckingInterval: CHECK_MS,
    requireHostHeader: false, // we look ourselves, and say what is wrong
    noDelay: true,
  };
}

function serverLimits({ limits, headTimeoutMs }: HttpHost) {
  return {
    maxHeaderSize: limits.maxHeadBytes,
    headersTimeout: Math.min(headTimeoutMs, limits.requestTimeoutMs),
    requestTimeout: limits.requestTimeoutMs,
    keepAliveTimeout: limits.keepAliveMs,
  };
}
