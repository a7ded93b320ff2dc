import { createServer, type Socket, connect as tcpConnect } from 'node:net';
import { deserialize, serialize } from 'node:v8';

/** One frame between two nodes: its length in four bytes, then the value as `node:v8` serializes it. */
const LENGTH_BYTES = 4;
const REDIAL_MS = 50;

interface Frame {
  readonly kind: 'hello' | 'note' | 'question' | 'answer';
  readonly from: string;
  readonly number: number;
  readonly body: unknown;
}

/** What a node does with what others tell it. */
export interface PeerHandler {
  /** The peer can be reached: for the first time, or again. */
  peerUp(peer: string): void;
  /** The process of the peer has gone. One that is only stopped is up. */
  peerDown(peer: string): void;
  note(peer: string, body: unknown): void;
  question(peer: string, body: unknown): unknown;
}

/** Why a question has no answer. */
export class NoAnswer extends Error {}

interface Waiting {
  readonly peer: string;
  readonly resolve: (answer: unknown) => void;
  readonly reject: (why: Error) => void;
}

/**
 * The links of one node to the others: one TCP connection each way for each pair, so that what one node says to another
 * comes in its order. A node that is stopped by SIGSTOP keeps its links: what it is told waits in the sockets, and all of
 * it is done when it goes on, also what nobody waits for any more.
 */
export class Peers {
  private readonly self: string;
  private readonly ports: ReadonlyMap<string, number>;
  private readonly handler: PeerHandler;
  private readonly links = new Map<string, Socket>();
  private readonly waiting = new Map<number, Waiting>();
  private lastNumber = 0;

  /** @param ports of all nodes, this one included */
  constructor(self: string, ports: ReadonlyMap<string, number>, handler: PeerHandler) {
    this.self = self;
    this.ports = ports;
    this.handler = handler;
    createServer({ noDelay: true }, (socket) => this.listen(socket)).listen(ports.get(self), '127.0.0.1');
    for (const peer of ports.keys()) if (peer !== self) this.dial(peer);
  }

  /** The others whose process runs, or is stopped. */
  get up(): readonly string[] {
    return [...this.links.keys()];
  }

  tell(peer: string, body: unknown): void {
    this.send(peer, 'note', 0, body);
  }

  tellAll(body: unknown): void {
    for (const peer of this.links.keys()) this.tell(peer, body);
  }

  /** Rejects with `NoAnswer` when the peer is down, or the time is over; the peer does what it was asked all the same. */
  ask<Answer>(peer: string, body: unknown, timeoutMs: number): Promise<Answer> {
    return new Promise((resolve, reject) => {
      if (!this.links.has(peer)) return reject(new NoAnswer(`${peer} is down`));
      const number = ++this.lastNumber;
      const late = setTimeout(() => {
        this.waiting.delete(number);
        reject(new NoAnswer(`${peer} did not answer in time`));
      }, timeoutMs);
      this.waiting.set(number, {
        peer,
        resolve(answer) {
          clearTimeout(late);
          resolve(answer as Answer);
        },
        reject(why) {
          clearTimeout(late);
          reject(why);
        },
      });
      this.send(peer, 'question', number, body);
    });
  }

  private send(peer: string, kind: Frame['kind'], number: number, body: unknown): void {
    const frame: Frame = { kind, from: this.self, number, body };
    const bytes = serialize(frame);
    const length = Buffer.alloc(LENGTH_BYTES);
    length.writeUInt32BE(bytes.length);
    this.links.get(peer)?.write(Buffer.concat([length, bytes]));
  }

  private dial(peer: string): void {
    const socket = tcpConnect({ port: this.ports.get(peer) ?? 0, host: '127.0.0.1', noDelay: true });
    socket.on('error', () => {});
    socket.once('connect', () => {
      this.links.set(peer, socket);
      this.send(peer, 'hello', 0, undefined);
      this.handler.peerUp(peer);
    });
    socket.once('close', () => {
      if (this.links.delete(peer)) this.lost(peer);
      setTimeout(() => this.dial(peer), REDIAL_MS);
    });
    socket.resume();
  }

  private lost(peer: string): void {
    for (const [number, each] of this.waiting) {
      if (each.peer !== peer) continue;
      this.waiting.delete(number);
      each.reject(new NoAnswer(`${peer} is down`));
    }
    this.handler.peerDown(peer);
  }

  private listen(socket: Socket): void {
    let rest = Buffer.alloc(0);
    socket.on('error', () => {});
    socket.on('data', (chunk) => {
      rest = Buffer.concat([rest, chunk]);
      while (rest.length >= LENGTH_BYTES) {
        const end = LENGTH_BYTES + rest.readUInt32BE(0);
        if (rest.length < end) return;
        const frame = deserialize(rest.subarray(LENGTH_BYTES, end)) as Frame;
        rest = rest.subarray(end);
        this.received(frame);
      }
    });
  }

  private received({ kind, from, number, body }: Frame): void {
    if (kind === 'note') this.handler.note(from, body);
    else if (kind === 'question') void this.answer(from, number, body);
    else if (kind === 'answer') {
      this.waiting.get(number)?.resolve(body);
      this.waiting.delete(number);
    }
  }

  private async answer(from: string, number: number, question: unknown): Promise<void> {
    const answer = await this.handler.question(from, question);
    this.send(from, 'answer', number, answer);
  }
}
