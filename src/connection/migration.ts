import { type MigrationResult, type MoveCause, plannedCauses } from './connection-host.ts';
import type { Evidence } from './evidence.ts';
import type { ForwarderHost } from './forwarder.ts';
import type { HandedMove, HandedMoving } from './handed-forwarder.ts';
import { isInVain, moveDelayMs } from './short-stays.ts';
import type { Target } from './wire.ts';

/** The first wait after every candidate has failed; doubled each time, with jitter. */
const BACKOFF_MS = 250;
const BACKOFF_MAX_MS = 2_000;

/** Re-attachments that `client inspect` shows. */
const HISTORY = 10;

export const noHistory: readonly MigrationResult[] = [];

interface MoveStart {
  readonly cause: MoveCause;
  /** The node that is left. */
  readonly origin: Target;
  /** The only node that the present one is left for, where a person named one. */
  readonly to: string | undefined;
  /** What showed that `origin` is gone, where that is the cause. */
  readonly evidence: Evidence | undefined;
  readonly nowMs: number;
  readonly patienceMs: number;
}

/** One re-attach under way: from where, why, and how much time is left for it. */
export class Move {
  private readonly start: MoveStart;
  /** In which no candidate has taken the session. */
  private rounds = 0;
  /** Since when no node has the session, on the host's clock. */
  private adriftSinceMs: number;

  constructor(start: MoveStart) {
    this.start = start;
    this.adriftSinceMs = start.nowMs;
  }

  /** For another process, where no node has the session: what a person wanted has become of the node that is left. */
  describe(nowMs: number): HandedMoving {
    const { cause, evidence, nowMs: startedAtMs } = this.start;
    const { rounds, adriftSinceMs } = this;
    return { cause, evidence, rounds, startedAgoMs: nowMs - startedAtMs, adriftAgoMs: nowMs - adriftSinceMs };
  }

  /** Goes on where another process was. */
  static revive(origin: Target, moves: Moves, handed: HandedMoving, nowMs: number): Move {
    const { cause, evidence, rounds, startedAgoMs, adriftAgoMs } = handed;
    const move = moves.start({ cause, origin, evidence, nowMs: nowMs - startedAgoMs });
    move.rounds = rounds;
    move.adriftSinceMs = nowMs - adriftAgoMs;
    return move;
  }

  /** The node that lives, and has served until now, is left. */
  leaves(nowMs: number): void {
    this.adriftSinceMs = nowMs;
  }

  /** Nobody knows when the node that is left reads again. */
  get isFromHung(): boolean {
    return this.start.cause === 'node-silent';
  }

  /** The node that is left lives, so that the device can wait for the next one. */
  get isPlanned(): boolean {
    return plannedCauses.has(this.start.cause);
  }

  get origin(): Target {
    return this.start.origin;
  }

  get from(): string {
    return this.origin.nodeId;
  }

  /** May the session leave a node that still serves for this one? */
  wants({ nodeId }: Target): boolean {
    const { to } = this.start;
    return nodeId !== this.from && (to === undefined || nodeId === to);
  }

  /** How long to wait before all candidates are tried anew, in ms; undefined when it is too late for that. */
  backoff(nowMs: number, random: number): number | undefined {
    const wait = this.backoffMs(random);
    return nowMs + wait < this.adriftSinceMs + this.start.patienceMs ? wait : undefined;
  }

  /** The same, without a limit on the time. */
  backoffMs(random: number): number {
    return Math.min(BACKOFF_MAX_MS, BACKOFF_MS * 2 ** this.rounds++) * (0.5 + random / 2);
  }

  ended(to: Target | undefined, sessionPresent: boolean, nowMs: number): MigrationResult {
    const { from } = this;
    const { cause, evidence, nowMs: startedAtMs } = this.start;
    const durationMs = nowMs - startedAtMs;
    return { cause, evidence, from, to: to?.nodeId, durationMs, atMs: nowMs, sessionPresent };
  }
}

/** The moves of one session. */
export class Moves {
  /** The last re-attachments, newest last. */
  history = noHistory;
  private readonly connection: ForwarderHost;
  private readonly patienceMs: number;

  constructor(connection: ForwarderHost, patienceMs: number) {
    this.connection = connection;
    this.patienceMs = patienceMs;
  }

  /** For another process. */
  describe(nowMs: number): HandedMove[] {
    return this.history.map(({ atMs, ...rest }) => ({ ...rest, agoMs: nowMs - atMs }));
  }

  /** Goes on where another process was. */
  revive(handed: readonly HandedMove[], nowMs: number): void {
    this.history = handed.map(({ agoMs, ...rest }) => ({ ...rest, atMs: nowMs - agoMs }));
  }

  /** Has another node taken the session since then, because the one before it was lost? */
  hasMovedSince(sinceMs: number): boolean {
    const last = this.history.at(-1);
    if (last === undefined || last.to === undefined || last.atMs <= sinceMs) return false;
    return last.cause === 'link-lost' || last.cause === 'node-silent';
  }

  /** Has one node after the other accepted the session, and ended it again at once? */
  get isInVain(): boolean {
    return isInVain(this.history, this.connection.host.now());
  }

  /** How long to wait before the next node is asked, because the last ones did not keep the session; mostly 0. */
  get delayMs(): number {
    const { host } = this.connection;
    return moveDelayMs(this.history, host.now(), host.random());
  }

  start(start: Pick<MoveStart, 'cause' | 'origin'> & Partial<MoveStart>): Move {
    const { connection, patienceMs } = this;
    const nowMs = connection.host.now();
    return new Move({ to: undefined, evidence: undefined, nowMs, patienceMs, ...start });
  }

  /** No node took the session where `to` is undefined. @param connackMs what `to` needed for its answer */
  ended(move: Move, to: Target | undefined, sessionPresent: boolean, connackMs = 0): void {
    const { host } = this.connection;
    const reattachment = move.ended(to, sessionPresent, host.now());
    this.history = [...this.history, reattachment].slice(-HISTORY);
    host.reattached(this.connection, reattachment, connackMs);
  }
}
