import type { Channel } from './channel.ts';
import { type LockQuestion, type LockRule, Locks } from './locks.ts';
import { type PeerHandler, Peers } from './peers.ts';
import { type Message, Session, type Snapshot } from './session.ts';
import { waits } from './waits.ts';

type Note =
  | { readonly kind: 'message'; readonly message: Message }
  /** The node that tells this has the session, or has it no longer. */
  | { readonly kind: 'holds' | 'gone'; readonly clientId: string }
  | { readonly kind: 'tick' };

type Question =
  | LockQuestion
  | { readonly kind: 'begin' | 'end' | 'discard'; readonly clientId: string }
  | { readonly kind: 'barrier' };

/** So many ticks late, a node was stopped. */
const WOKE_TICKS = 3;
const CALLS_FIRST_MS = 100;

/** A session that a new connection may have. */
export interface Opened {
  readonly session: Session;
  readonly isPresent: boolean;
  /** Ends the takeover, after CONNACK: the old link is closed, and what the old node took in meanwhile comes along. */
  finish(): Promise<void>;
}

/**
 * One node of a cluster that treats sessions as EMQX 5.3.2 does (`emqx_cm.erl`, `emqx_channel.erl`, `emqx_session_mem.erl`,
 * `ekka_locker.erl`): a session lives at one node; a connect with Clean Start 0 elsewhere takes it over in two steps, of
 * which the first asks the old node for the session and the second has it close its link; one with Clean Start 1 has the
 * old node drop it. Both wait, for a fixed time, for a node that does not answer, and hold a lock of the client id in the
 * whole cluster meanwhile. What later versions do otherwise is in `waits.ts`. It knows no retained messages, no shared subscriptions and no authentication.
 */
export class Broker implements PeerHandler {
  private readonly self: string;
  private readonly peers: Peers;
  private readonly locks: Locks;
  private readonly sessions = new Map<string, Session>();
  private readonly channels = new Map<Session, Channel>();
  private readonly expiries = new Map<Session, NodeJS.Timeout>();
  /** The node that has each session of the cluster. */
  private readonly holders = new Map<string, string>();
  private readonly heardAtMs = new Map<string, number>();
  private lastTickAtMs = performance.now();
  /** Messages of other nodes that waited while this one was stopped. */
  private late: Message[] | undefined;
  private lastMessage = 0;

  constructor(self: string, ports: ReadonlyMap<string, number>, rule: LockRule) {
    this.self = self;
    this.peers = new Peers(self, ports, this);
    this.locks = new Locks(self, [...ports.keys()].sort(), this.peers, rule);
    setInterval(() => this.tick(), waits.tickMs);
  }

  get reaches(): number {
    return this.peers.up.length;
  }

  // ---- opening a session -----------------------------------------------------------------------------------

  /** Undefined: refused, because another connect of this client id is under way. Throws when the old node is silent. */
  open(clientId: string, isClean: boolean, expiryMs: number): Promise<Opened | undefined> {
    const holder = this.holders.get(clientId);
    return this.locks.under(clientId, holder, async () => {
      const opened = isClean
        ? await this.createAnew(clientId, expiryMs)
        : await this.take(clientId, expiryMs);
      this.keep(opened.session);
      return opened;
    });
  }

  private async createAnew(clientId: string, expiryMs: number): Promise<Opened> {
    const holder = this.holders.get(clientId);
    const question: Question = { kind: 'discard', clientId };
    if (holder === this.self) this.discard(clientId);
    else if (holder !== undefined)
      await this.peers.ask(holder, question, waits.discardMs).catch(() => undefined);
    return newSession(clientId, expiryMs);
  }

  private async take(clientId: string, expiryMs: number): Promise<Opened> {
    const holder = this.holders.get(clientId);
    if (holder === undefined) return newSession(clientId, expiryMs);
    const isHere = holder === this.self;
    const snapshot = isHere
      ? this.begin(clientId)
      : await this.peers.ask<Snapshot | undefined>(holder, { kind: 'begin', clientId }, waits.takeoverMs);
    if (snapshot === undefined) return newSession(clientId, expiryMs);
    const session = new Session(clientId, expiryMs, snapshot);
    session.pendings = []; // what comes here before the old node has given what came there
    const end = isHere
      ? this.endOf(clientId)
      : () => this.peers.ask<Message[]>(holder, { kind: 'end', clientId }, waits.takeoverMs);
    return {
      session,
      isPresent: true,
      async finish() {
        const pendings = await end().catch(() => []);
        const waitingHere = session.pendings ?? [];
        session.pendings = undefined;
        session.addPendings(pendings, waitingHere);
      },
    };
  }

  private keep(session: Session): void {
    this.sessions.set(session.clientId, session);
    this.holders.set(session.clientId, this.self);
    this.peers.tellAll({ kind: 'holds', clientId: session.clientId } satisfies Note);
  }

  connected(session: Session, channel: Channel): void {
    this.channels.set(session, channel);
  }

  /** The connection has gone; the session stays until it expires. */
  disconnected(session: Session): void {
    this.channels.delete(session);
    if (this.sessions.get(session.clientId) !== session) return;
    if (session.expiryMs === 0) return this.drop(session);
    const expiry = setTimeout(() => this.drop(session), Math.min(session.expiryMs, 0x7fff_ffff));
    this.expiries.set(session, expiry);
  }

  private drop(session: Session): void {
    clearTimeout(this.expiries.get(session));
    this.expiries.delete(session);
    this.channels.delete(session);
    const { clientId } = session;
    if (this.sessions.get(clientId) !== session) return;
    this.sessions.delete(clientId);
    if (this.holders.get(clientId) !== this.self) return;
    this.holders.delete(clientId);
    this.peers.tellAll({ kind: 'gone', clientId } satisfies Note);
  }

  // ---- giving a session away -------------------------------------------------------------------------------

  /**
   * From here on nothing is delivered any more. That holds even if the node that asked has given up long ago, as where
   * this one was stopped: the device's link stays up and hears nothing.
   */
  private begin(clientId: string): Snapshot | undefined {
    const session = this.sessions.get(clientId);
    if (session !== undefined) session.pendings ??= [];
    return session?.snapshot();
  }

  private endOf(clientId: string): () => Promise<Message[]> {
    const session = this.sessions.get(clientId);
    return async () => (session === undefined ? [] : this.end(session));
  }

  private async end(session: Session): Promise<Message[]> {
    // What the others had sent before they knew of the new place is still on its way, and is lost behind a hang.
    const { up } = this.peers;
    if (this.late === undefined)
      await Promise.all(
        up.map((peer) => this.peers.ask(peer, { kind: 'barrier' }, waits.tickMs * 2).catch(() => undefined)),
      );
    this.channels.get(session)?.takenOver();
    const pendings = session.pendings ?? [];
    this.drop(session);
    return pendings;
  }

  private discard(clientId: string): boolean {
    const session = this.sessions.get(clientId);
    if (session === undefined) return true;
    this.channels.get(session)?.takenOver();
    this.drop(session);
    return true;
  }

  // ---- messages --------------------------------------------------------------------------------------------

  publish(publisher: string, topic: string, payload: Uint8Array, qos: 0 | 1 | 2): void {
    const message = { id: `${this.self}#${++this.lastMessage}`, topic, payload, qos, publisher };
    this.deliver(message);
    this.peers.tellAll({ kind: 'message', message } satisfies Note);
  }

  private deliver(message: Message): void {
    for (const session of this.sessions.values()) session.offer(message);
  }

  // ---- the other nodes -------------------------------------------------------------------------------------

  peerUp(peer: string): void {
    this.heardAtMs.set(peer, performance.now());
    for (const clientId of this.sessions.keys()) {
      this.peers.tell(peer, { kind: 'holds', clientId } satisfies Note);
    }
  }

  peerDown(peer: string): void {
    this.heardAtMs.delete(peer);
    this.locks.forget(peer);
    for (const [clientId, holder] of this.holders) if (holder === peer) this.holders.delete(clientId);
  }

  note(peer: string, body: unknown): void {
    this.noteWaking();
    this.heardAtMs.set(peer, performance.now());
    const note = body as Note;
    if (note.kind === 'message' && this.late !== undefined) this.late.push(note.message);
    else if (note.kind === 'message') this.deliver(note.message);
    else if (note.kind === 'holds') this.holders.set(note.clientId, peer);
    else if (note.kind === 'gone' && this.holders.get(note.clientId) === peer)
      this.holders.delete(note.clientId);
  }

  question(_peer: string, body: unknown): unknown {
    this.noteWaking();
    const question = body as Question;
    switch (question.kind) {
      case 'lock':
      case 'unlock':
        return this.locks.answer(question);
      case 'begin':
        return this.begin(question.clientId);
      case 'end':
        return this.endOf(question.clientId)();
      case 'discard':
        return this.discard(question.clientId);
      case 'barrier':
        return true;
    }
  }

  /** It was stopped: what other nodes ask of it comes by other links than messages do, and is done before them. */
  private noteWaking(): void {
    if (this.late !== undefined || performance.now() - this.lastTickAtMs < WOKE_TICKS * waits.tickMs) return;
    this.late = [];
    setTimeout(() => {
      const { late = [] } = this;
      this.late = undefined;
      for (const message of late) this.deliver(message);
    }, CALLS_FIRST_MS);
  }

  /** A node that others have given up for dead starts anew when it goes on; here its process ends. */
  private tick(): void {
    const nowMs = performance.now();
    if (nowMs - this.lastTickAtMs > waits.nodeDownMs) process.exit(3);
    this.noteWaking();
    this.lastTickAtMs = nowMs;
    this.peers.tellAll({ kind: 'tick' } satisfies Note);
    for (const [peer, heardAtMs] of this.heardAtMs) {
      if (nowMs - heardAtMs > waits.nodeDownMs) this.peerDown(peer);
    }
  }
}

function newSession(clientId: string, expiryMs: number): Opened {
  return { session: new Session(clientId, expiryMs), isPresent: false, async finish() {} };
}
