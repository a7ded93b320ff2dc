import { type IncomingMessage, type ServerResponse, STATUS_CODES } from 'node:http';
import type { Dispatcher } from 'undici';
import type { Target } from '../connection/wire.ts';
import type { AddressWalk } from '../nodes/addresses.ts';
import { answerPlainly } from './answer.ts';
import { type AttemptFailure, failureOf } from './failure.ts';
import type { HttpHost } from './http-host.ts';
import { atAddress, type NodeAgent, type NodeAgents } from './node-agents.ts';
import { answerFields, type Placed } from './placing.ts';
import { RequestBody } from './request-body.ts';

/** Methods that may be tried again when it is not known whether they were carried out (RFC 9110, 9.2.2). */
const IDEMPOTENT: ReadonlySet<string> = new Set(['GET', 'HEAD', 'OPTIONS', 'PUT', 'DELETE']);

/** A node may send one byte in each chunk: after so many it is read on in the next turn of the loop. */
const CHUNKS_AT_A_TIME = 256;

/** Shorter answers are joined to their head as text, and written by one call. */
const JOINED_BYTES = 4096;

/** A client that leaves before it has its answer, in counts and logs; nginx's number. */
const CLIENT_LEFT = 499;

interface ExchangeOptions {
  readonly placed: Placed;
  readonly incoming: IncomingMessage;
  readonly response: ServerResponse;
  readonly context: HttpHost;
  readonly agents: NodeAgents;
  /** The client waits for 100 Continue before it sends the body. */
  readonly expectsContinue: boolean;
  /** No further request is wanted on this connection. */
  readonly isLast: () => boolean;
}

/**
 * One request and its answer. Nodes are tried in the balancer's order: another one when a node could not be reached,
 * and, where the request has no body and may be repeated, when the connection ended before the answer. Once the answer
 * has begun, it is this node's to the end.
 */
export class Exchange implements Dispatcher.DispatchHandler {
  private readonly options: ExchangeOptions;
  private readonly candidates: Iterator<Target, undefined>;
  private readonly deadlineMs: number;
  private attempts = 0;
  private target: Target | undefined;
  /** Through the addresses of the node that is asked, where it has several. */
  private walk: AddressWalk | undefined;
  private agent: NodeAgent | undefined;
  private body: RequestBody | undefined;
  private controller: Dispatcher.DispatchController | undefined;
  private failure: AttemptFailure | undefined;
  private sentAtMs = 0;
  /** The first piece of the answer: it waits for the end of this tick, because the end of the answer may be in it too. */
  private first: Buffer | undefined;
  private holdsFirst = false;
  /** Of the answer, since it was last left to a later turn. */
  private chunks = 0;
  private hasRepeated = false;
  private hasLeft = false;
  private isBroken = false;

  constructor(options: ExchangeOptions) {
    this.options = options;
    const { route, sourceAddress, recalled } = options.placed;
    this.candidates = route.candidates(sourceAddress, recalled?.nodes ?? []);
    this.deadlineMs = options.context.now() + route.upstream.deadlineMs;
  }

  /** The status that is counted in the end: nodes break off too, and clients leave. */
  get status(): number {
    const { response } = this.options;
    if (this.isBroken) return 502;
    return response.writableFinished ? response.statusCode : CLIENT_LEFT;
  }

  /** The node that answered, or was asked last. */
  get nodeId(): string | undefined {
    return this.target?.nodeId;
  }

  begin(): void {
    this.options.response.once('close', () => {
      if (this.options.response.writableFinished) return;
      this.hasLeft = true;
      this.controller?.abort(new Error('the client left'));
    });
    this.next();
  }

  private next(): void {
    const { context, agents, placed } = this.options;
    const { upstream, tls } = placed.route;
    while (this.attempts < upstream.maxAttempts && context.now() < this.deadlineMs && !this.hasLeft) {
      const { value: candidate, done } = this.candidates.next();
      if (done) break;
      this.walk = candidate.addresses?.walk();
      const target = atAddress(candidate, this.walk?.next());
      const agent = agents.for(target, upstream, tls);
      if (!agent.load.hasRoom(placed.sourceAddress) || !context.take(target)) continue; // spills to the next node
      this.attempts++;
      return this.attempt(target, agent);
    }
    const { status, detail } = this.failure ?? { status: 503, detail: 'no node takes requests now' };
    this.refuse(status, detail);
  }

  private attempt(target: Target, agent: NodeAgent): void {
    const { incoming, response, context, placed, expectsContinue } = this.options;
    const { request, route, fields } = placed;
    this.target = target;
    this.agent = agent;
    this.controller = undefined;
    this.sentAtMs = 0;
    agent.load.add(placed.sourceAddress);
    const hasBody = request.isChunked || (request.contentLength ?? 0) > 0;
    this.body = hasBody
      ? new RequestBody(incoming, {
          maxBytes: context.limits.maxBodyBytes,
          minBytesPerSecond: context.limits.minBodyRate,
          onBegin: () => expectsContinue && response.writeContinue(),
        })
      : undefined;
    agent.pool.dispatch(
      {
        ...(agent.serverName !== undefined && { servername: agent.serverName }),
        method: request.method as Dispatcher.HttpMethod,
        path: request.target,
        headers:
          hasBody && !request.isChunked
            ? [...fields, 'Content-Length', String(request.contentLength)]
            : [...fields],
        body: this.body ?? null,
        headersTimeout: route.upstream.http.answerTimeoutMs,
        bodyTimeout: route.upstream.http.silenceTimeoutMs,
      },
      this,
    );
  }

  onRequestStart(controller: Dispatcher.DispatchController): void {
    this.controller = controller;
    this.walk?.reached();
    this.sentAtMs = this.options.context.now();
    if (this.hasLeft) controller.abort(new Error('the client left'));
  }

  onResponseStart(
    controller: Dispatcher.DispatchController,
    status: number,
    _headers: unknown,
    message?: string,
  ): void {
    if (status < 200) return; // interim answers are for this hop (RFC 9110, 15.2)
    const { response, context, placed, isLast } = this.options;
    const { target } = this;
    if (target === undefined) return;
    context.answered(target, context.now() - this.sentAtMs);
    const fields = answerFields(placed, rawText(controller.rawHeaders), target.nodeId);
    if (isLast()) fields.push('Connection', 'close');
    response.writeHead(status, reasonPhrase(status, message), fields);
    this.holdsFirst = true;
    // With what has come with it; an event stream may have nothing to say yet.
    process.nextTick(() => {
      this.passFirst(controller);
      if (!response.writableEnded) response.flushHeaders();
    });
  }

  onResponseData(controller: Dispatcher.DispatchController, chunk: Buffer): void {
    if (this.holdsFirst && this.first === undefined) {
      this.first = chunk;
      return;
    }
    this.passFirst(controller);
    this.pass(controller, chunk);
  }

  private passFirst(controller: Dispatcher.DispatchController): void {
    const { first } = this;
    this.holdsFirst = false;
    this.first = undefined;
    if (first !== undefined && !this.options.response.destroyed) this.pass(controller, first);
  }

  private pass(controller: Dispatcher.DispatchController, chunk: Buffer): void {
    const { incoming, response, context } = this.options;
    if (response.write(chunk)) {
      this.rest(controller);
      return;
    }
    controller.pause();
    incoming.socket.setTimeout(context.limits.stallTimeoutMs); // then the server destroys it
    response.once('drain', () => {
      incoming.socket.setTimeout(0);
      controller.resume();
    });
  }

  private rest(controller: Dispatcher.DispatchController): void {
    if (++this.chunks < CHUNKS_AT_A_TIME) return;
    controller.pause();
    setImmediate(() => {
      this.chunks = 0;
      controller.resume();
    });
  }

  onResponseEnd(): void {
    this.leaveNode();
    const { response } = this.options;
    const { first } = this;
    this.first = undefined;
    if (first === undefined) response.end();
    else if (first.length > JOINED_BYTES) response.end(first);
    else response.end(first.toString('latin1'), 'latin1'); // a character for a byte
  }

  onResponseError(_controller: Dispatcher.DispatchController, error: Error): void {
    const { response, context } = this.options;
    const { target, agent } = this;
    const isSent = this.sentAtMs > 0;
    this.leaveNode();
    if (this.hasLeft || target === undefined || agent === undefined) return;
    if (response.headersSent) {
      this.isBroken = true;
      response.destroy(); // the client must not take what it has for the whole
      return;
    }
    if (this.body?.isTooLarge) return this.refuse(413, 'the body is too large');
    if (this.body?.isTooSlow) return this.refuse(408, 'the body comes too slowly');
    this.failure = failureOf(error, isSent);
    const { dial, code, isClosed } = this.failure;
    if (dial !== undefined && this.tryNextAddress(target)) return;
    if (dial !== undefined) context.dialFailed(target, dial, code);
    if (dial !== undefined && !this.body?.hasBegun) return this.next();
    if (!isClosed || !this.isRepeatable()) return this.refuse(this.failure.status, this.failure.detail);
    if (this.hasRepeated || !context.take(target)) return this.next();
    this.hasRepeated = true; // an idle connection that the node was closing says nothing against the node
    this.attempt(target, agent);
  }

  /** The node did not answer at this address; it may at another. */
  private tryNextAddress(target: Target): boolean {
    const { context, agents, placed } = this.options;
    if (this.body?.hasBegun) return false;
    const host = this.walk?.next();
    if (host === undefined || !context.take(target)) return false;
    const next = atAddress(target, host);
    this.attempt(next, agents.for(next, placed.route.upstream, placed.route.tls));
    return true;
  }

  private isRepeatable(): boolean {
    return this.body === undefined && IDEMPOTENT.has(this.options.placed.request.method);
  }

  private leaveNode(): void {
    const { target, agent } = this;
    if (target === undefined || agent === undefined) return;
    agent.load.remove(this.options.placed.sourceAddress);
    this.agent = undefined;
    this.options.context.release(target);
  }

  private refuse(status: number, detail: string): void {
    const { response, incoming } = this.options;
    if (this.hasLeft || response.headersSent) return;
    answerPlainly(response, status, detail);
    incoming.resume();
  }
}

/** The node's own, where it can be written again; it means nothing to a client (RFC 9112, 4). */
function reasonPhrase(status: number, message: string | undefined): string {
  const isWritable = message !== undefined && /^[\t\x20-\x7e\x80-\xff]+$/.test(message);
  return isWritable ? message : (STATUS_CODES[status] ?? '');
}

/** As Node gives received fields: a character for a byte. */
function rawText(fields: Dispatcher.DispatchController['rawHeaders']): string[] {
  return Array.isArray(fields)
    ? fields.map((each) => (typeof each === 'string' ? each : each.toString('latin1')))
    : [];
}
