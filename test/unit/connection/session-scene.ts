import { expect } from 'vitest';
import { Connection } from '../../../src/connection/connection.ts';
import type {
  ConnectionHost,
  DeviceRates,
  EndReason,
  MigrationResult,
  MoveCause,
  MovePolicy,
  PoolRoute,
  Recaller,
} from '../../../src/connection/connection-host.ts';
import type { Asker, Defendant, Evidence } from '../../../src/connection/evidence.ts';
import { readHandedConnection } from '../../../src/connection/handed.ts';
import { Scouts } from '../../../src/connection/scouts.ts';
import type { SessionForwarder } from '../../../src/connection/session-forwarder.ts';
import type { EndCause, Link, Target, Wire } from '../../../src/connection/wire.ts';
import { bytesOf, packetsIn, textOf, type Version } from '../session/packet-text.ts';
import { limits, moves, peer, retryPolicy, sessionLimits } from './scene.ts';
import { SceneQueue } from './scene-queue.ts';

/** What the host of a session scene answers every time that it is asked for a random number. */
export const RANDOM = 0.5;
/** What a session then waits before it is asked for again. */
export const PACE_MS = 40;

/** To the node that a session has, and to the one that is asked for it. */
const SESSION_LINKS = 2;
/** A session that is over is dropped at the node that had it last, and at four that may keep a copy. */
const PURGED_NODES = 5;

const scouted = { sent() {}, answered() {}, mayAsk: () => 'yes' as const };

export interface SessionSceneOptions {
  readonly version?: Version;
  /** `a`, `b` and `c`, best first. */
  readonly nodes?: readonly string[];
  readonly takeoverFiresWill?: boolean;
  /** False: it is known already that others have sessions of a node that hangs at once. */
  readonly scouts?: boolean;
  readonly leavesFirst?: boolean;
  readonly maxPacketBytes?: number;
  readonly maxOfflineBytes?: number;
  readonly rates?: DeviceRates;
  /** What a new device waits for its turn. */
  readonly queueMs?: number;
  readonly recallTimeoutMs?: number;
  readonly lostLink?: MovePolicy['lostLink'];
  /** What is known at once of a node whose link has ended; `ask`: nothing, and `owner: verdict …` follows. */
  readonly evidence?: Evidence | 'ask';
  /** Sessions wait for `owner: turn` to send again what a node may have died of. */
  readonly queues?: boolean;
  /** Sessions wait for `owner: room` to be asked for again. */
  readonly isFull?: boolean;
}

type LinkState = 'dialling' | 'open' | 'ended';

/**
 * One connection in session mode: the test plays the device, every node and the clock. The wire is strict, as an engine
 * may be: what its contract forbids throws. What the connection does comes out as lines of text.
 *
 *   device: PUBLISH t=x | PINGREQ    the device sends          a gets …          on the link that was dialled last
 *   device: fin                      or reset, or timeout      device gets …
 *   a: opens                         or refuses, which fails the dial
 *   a: CONNACK present               the node says; a: reset is how its link ends
 *   a: closes                        its end of links that were ended by `flush`
 *   old a: PUBLISH t=x               the same on the link before the newest
 *   time: 2000                       passes, and every timer that is due fires
 *   owner: move drain to=c           or check, end kicked      answer moving
 *   owner: verdict refused           or lives: whether a node is gone whose link was lost
 *   owner: room                      the session may be asked for again; or elsewhere: where it waits no node is
 *   owner: supersede same            a newer connection was accepted; or `other`: of a device that may be another one
 *   wire: closed                     every socket is
 *   -- text                          is for who reads: the first line of a longer scenario tells its story
 */
export class SessionScene {
  connection: Connection;
  /** Times that another process has gone on with it. */
  handed = 0;
  /** Every piece that the device or a node was sent. */
  outputs: Buffer[] = [];
  readonly version: Version;
  nowMs = 1_000;
  timerAtMs: number | undefined;
  /** Links that events may come from, oldest first. */
  readonly links = new Map<Link, { readonly node: string; state: LinkState }>();
  deviceEnd: EndCause | undefined;
  deviceDone: 'flush' | 'reset' | undefined;
  isDeviceFinished = false;
  isClosed = false;
  held = false;
  /** Set by a test: nodes that have as many connections as they may. */
  readonly full = new Set<string>();
  /** When a node that hung spoke again, to this session or, set by a test, to another. */
  readonly spokenAtMs = new Map<string, number>();
  readonly scouts = new Scouts();
  /** Set by a test: the device does not read, so the link is not read either. */
  isDeviceBehind = false;
  /** The next answers of `stillTakes`; behind them false. */
  takes: boolean[] = [];
  ends = 0;
  lefts = 0;
  /** Connections counted at each node. */
  readonly counted = new Map<string, number>();
  /** Nodes whose Server Reference is known, and that a placement offers, best first. */
  nodes: readonly string[];
  forwarder: SessionForwarder | undefined;
  private deviceRest = Buffer.alloc(0);
  private readonly nodeRests = new Map<Link, Buffer>();
  private dials = 0;
  private lines: string[] = [];
  private readonly tasks: (() => void)[] = [];
  /** Links that were flushed, and that their nodes have not closed. */
  private left: { readonly node: string; readonly closed: () => void }[] = [];
  private asker: Recaller | undefined;
  /** Who waits for its turn to send again what a node may have died of. */
  private queue: Defendant[] = [];
  private readonly room: SceneQueue;
  /** Who wants to know whether a node is gone. */
  private readonly askers = new Set<Asker>();

  private readonly options: SessionSceneOptions;

  constructor(options: SessionSceneOptions = {}) {
    this.options = options;
    this.version = options.version ?? 4;
    this.nodes = options.nodes ?? ['a', 'b', 'c'];
    this.room = new SceneQueue(options.isFull ?? false, (line) => this.lines.push(line));
    this.connection = new Connection(this.wire(), peer, this.host(options));
  }

  /** Another process goes on, where the connection can be described; its clock is another one. */
  handOver(): void {
    const { connection } = this;
    const described = connection.describe();
    if (described === undefined) return;
    this.handed++;
    connection.departed();
    this.nodesClose(); // the engine closes its copies
    const shiftMs = 86_400_000;
    this.nowMs += shiftMs;
    if (this.timerAtMs !== undefined) this.timerAtMs += shiftMs;
    this.takeOver(described);
  }

  /** Goes on with what another process has described. */
  takeOver(described: unknown): void {
    const handed = readHandedConnection(structuredClone(described));
    if (handed.kind !== 'mqtt') throw new Error(handed.kind);
    const { state } = handed;
    if (this.links.size === 0 && state.phase === 'carried' && state.forwarder.kind === 'session') {
      const { node, link } = state.forwarder.upstream.at;
      if (link >= 0) this.links.set(link, { node, state: 'open' });
      this.dials = Math.max(this.dials, link + 1);
    }
    this.connection = Connection.revive(this.wire(), peer, this.host(this.options), handed);
    this.forwarder = this.connection.session;
  }

  /** The node that serves says this, on the link of a session that was taken over. */
  hears(what: string): void {
    inScratch(this.bytesOf(what), (bytes, start, end) =>
      this.connection.linkData(this.servingLink(), bytes, start, end),
    );
  }

  /** The link of a session that was taken over ends. */
  loses(): void {
    this.connection.linkEnded(this.servingLink(), 'reset');
  }

  private servingLink(): Link {
    return [...this.links.keys()][0] ?? -1;
  }

  /** Who wants to know whether a node is gone, and since when that counts. */
  asksOf(): { node: string; attachedAtMs: number }[] {
    return [...this.askers].map(({ target, attachedAtMs }) => ({ node: target.nodeId, attachedAtMs }));
  }

  /** The loop turns: those who asked have their turn. */
  turn(): void {
    for (const task of this.tasks.splice(0)) task();
  }

  /** As often as somebody asks. */
  turns(): void {
    for (let i = 0; i < 10_000 && this.tasks.length > 0; i++) this.turn();
  }

  did(): string[] {
    const { lines } = this;
    this.lines = [];
    return lines;
  }

  private wire(): Wire {
    const told = (line: string): void => {
      if (this.isClosed) throw new Error(`${line}: the connection is closed`);
      this.lines.push(line);
    };
    const live = (line: string): void => {
      if (this.deviceDone !== undefined) throw new Error(`${line}: endDevice was called`);
      told(line);
    };
    return {
      guard: (run) => run(),
      isDeviceBehind: () => this.isDeviceBehind,
      stillTakes: () => this.takes.shift() ?? false,
      toDevice: (bytes, start, end) => {
        if (this.deviceEnd === 'reset') return; // an engine drops it
        if (this.isDeviceFinished) throw new Error('something is sent behind FIN');
        for (const text of this.read(bytes, start, end)) live(`device gets ${text}`);
      },
      toNode: (link, bytes, start, end) => {
        const { node, state } = this.links.get(link) ?? {};
        if (state === undefined || state === 'dialling') throw new Error(`link ${link} is not open`);
        for (const text of this.read(bytes, start, end)) told(`${node} gets ${text}`);
      },
      dial: ({ nodeId }) => {
        const isOver = this.connection.session?.upstream.isOver ?? false;
        if (this.links.size >= (isOver ? PURGED_NODES : SESSION_LINKS))
          throw new Error('one link more is dialled');
        live(`dial ${nodeId}`);
        this.links.set(this.dials, { node: nodeId, state: 'dialling' });
        return this.dials++;
      },
      splice: () => {
        throw new Error('a session is not spliced');
      },
      holdDevice: (hold) => {
        live(hold ? 'hold device' : 'read device');
        this.held = hold;
      },
      holdNode: (link, hold) => {
        const node = this.links.get(link)?.node;
        if (node !== undefined) live(`${hold ? 'hold' : 'read'} ${node}`);
      },
      numbered: () => {},
      countAt: () => {},
      nextTurn: (task) => {
        this.tasks.push(task);
      },
      endDevice: (how) => {
        if (this.deviceDone !== how) told(`end device: ${how}`);
        this.deviceDone = how;
      },
      finishDevice: () => {
        live('finish device');
        this.isDeviceFinished = true;
      },
      finishNode: (link) => {
        const node = this.links.get(link)?.node;
        if (node === undefined) throw new Error(`link ${link} is gone`);
        told(`finish ${node}`);
      },
      endNode: (link, how, closed) => {
        const node = this.links.get(link)?.node;
        if (node === undefined) throw new Error(`link ${link} is gone`);
        told(`end ${node}: ${how}`);
        this.links.delete(link);
        if (how === 'reset') closed?.();
        else if (closed !== undefined) this.left.push({ node, closed });
      },
      setTimer: (ms) => {
        if (this.isClosed) throw new Error('timer: the connection is closed');
        if (!(ms >= 0)) throw new Error(`timer ${ms}`);
        this.timerAtMs = ms === 0 ? undefined : this.nowMs + ms;
      },
    };
  }

  private read(bytes: Uint8Array, start: number, end: number): string[] {
    const copy = Buffer.copyBytesFrom(bytes, start, end - start);
    this.outputs.push(copy);
    try {
      return packetsIn(copy, this.version).map(textOf);
    } catch {
      return [`${copy.length} bytes`];
    }
  }

  private host(options: SessionSceneOptions): ConnectionHost {
    const { takeoverFiresWill = false, leavesFirst = false, maxPacketBytes = 256 } = options;
    const count = (node: string, by: number): void => {
      const counted = (this.counted.get(node) ?? 0) + by;
      if (counted < 0) throw new Error(`${node} is released once too often`);
      this.counted.set(node, counted);
    };
    const note = (line: string): void => void this.lines.push(line);
    const place = (preferred: string | undefined) => ({
      candidates: this.candidates(preferred),
      retryPolicy,
    });
    const host: ConnectionHost = {
      limits: { ...limits, maxPacketBytes },
      sessionLimits: {
        ...sessionLimits,
        maxOfflineBytes: options.maxOfflineBytes ?? sessionLimits.maxOfflineBytes,
      },
      mode: 'session',
      pending: () => undefined,
      messages: new Float64Array(32),
      now: () => this.nowMs,
      random: () => RANDOM,
      route: () => ({
        recallTimeoutMs: options.recallTimeoutMs ?? 0,
        claimTtlMs: 0,
        name: 'pool',
        mode: undefined,
        rates: options.rates,
        moves: { ...moves, takeoverFiresWill, leavesFirst, lostLink: options.lostLink ?? 'evidence' },
        hasOther: (than) => this.nodes.some((node) => !than.includes(node)),
        named: (reference) => this.nodes.find((node) => reference === `${node}.example`),
        place: (_, __, preferred) => place(preferred),
        target: (node) => this.targetOf(node),
      }),
      follow: (route) => route,
      reconnectDelayMs: () => 0,
      recall: (_, asker) => {
        this.asker = asker;
      },
      turns: { lost: this.room, hung: this.room },
      scouts: options.scouts ? this.scouts : scouted,
      take: ({ nodeId }) => {
        if (this.full.has(nodeId)) return false;
        count(nodeId, 1);
        return true;
      },
      queue: () => options.queueMs ?? 0,
      release: ({ nodeId }) => count(nodeId, -1),
      takeServed: ({ nodeId }) => count(nodeId, 1),
      routeTo: (pool, connect, about) =>
        pool === 'pool' ? (host.route(connect, about) as PoolRoute) : undefined,
      revived: () => {
        this.forwarder = this.connection.session;
      },
      departed: () => {},
      dialFailed: ({ nodeId }, failure) => note(`${nodeId} failed: ${failure}`),
      dialled: () => {},
      placed: ({ target }) => {
        this.forwarder = this.connection.session;
        note(`placed at ${target?.nodeId}`);
      },
      nodeSpoke: ({ nodeId }) => this.spokenAtMs.set(nodeId, this.nowMs),
      hasSpoken: ({ nodeId }, sinceMs) =>
        (this.spokenAtMs.get(nodeId) ?? Number.NEGATIVE_INFINITY) >= sinceMs,
      linkLost: (_, { nodeId }, cause) => note(`${nodeId} lost: ${cause}`),
      evidence: (asker) => {
        if (options.evidence !== 'ask') return options.evidence ?? 'refused';
        note(`is ${asker.target.nodeId} gone?`);
        this.askers.add(asker);
        return undefined;
      },
      trials: {
        enter: (defendant) => {
          if (options.queues) this.queue.push(defendant);
          else defendant.begin();
        },
        leave: (defendant) => {
          this.queue = this.queue.filter((each) => each !== defendant);
        },
      },
      convicted: (_, { packet, bytes, topic }) => note(`convicted: ${packet} ${topic}, ${bytes} bytes`),
      forget: (asker) => this.askers.delete(asker) && note('never mind'),
      reattached: (_, reattachment) => note(movedText(reattachment)),
      rejected: (reason) => note(`rejected: ${reason}`),
      left: () => {
        this.lefts++;
      },
      ended: (_, reason) => {
        this.ends++;
        note(`ended: ${reason}`);
      },
    };
    return host;
  }

  private *candidates(preferred: string | undefined): Generator<Target, undefined> {
    const first = this.nodes.filter((node) => node === preferred);
    for (const nodeId of [...first, ...this.nodes.filter((node) => node !== preferred)]) {
      yield this.targetOf(nodeId);
    }
    return undefined;
  }

  private targetOf(nodeId: string): Target {
    return { slot: nodeId.charCodeAt(0) - 97, nodeId, host: '127.0.0.1', port: 1883 };
  }

  // ---- what the test plays

  /** Plays the left side of a line; see the class. */
  say(who: string, what: string): void {
    const [verb = '', ...words] = what.split(' ');
    const { connection } = this;
    if (who === 'time') return this.pass(Number(verb));
    if (who === 'loop') return this.turns();
    if (who === 'owner') return this.order(verb, words);
    if (who === 'wire') return this.closes();
    if (who === 'recalled') return this.asker?.recalled(verb);
    if (who === 'device' && isEnd(verb)) {
      this.deviceEnd = verb;
      return connection.deviceEnded(verb);
    }
    if (who === 'device') return this.deviceSays(this.bytesOf(what));
    if (verb === 'closes') return this.nodesClose(who);
    const ofNode = [...this.links].filter(([, { node }]) => node === who.replace('old ', ''));
    const [link, state] = ofNode.at(who.startsWith('old ') ? -2 : -1) ?? [];
    if (link === undefined || state === undefined) throw new Error(`${who} has no link`);
    if (verb === 'opens') {
      state.state = 'open';
      connection.linkOpened(link);
    } else if (verb === 'refuses') {
      this.links.delete(link);
      connection.linkFailed(link, words[0] ?? 'ECONNREFUSED');
    } else if (isEnd(verb)) {
      state.state = 'ended';
      connection.linkEnded(link, verb);
    } else {
      inScratch(this.bytesOf(what), (bytes, start, end) => connection.linkData(link, bytes, start, end));
    }
  }

  deviceSays(bytes: Buffer): void {
    inScratch(bytes, (scratch, start, end) => this.connection.deviceData(scratch, start, end));
  }

  /** The device sends so many bytes of what it has begun to send, and of this packet behind it. */
  deviceSaysPart(bytes: Buffer, most: number): void {
    this.deviceRest = Buffer.concat([this.deviceRest, bytes]);
    const piece = this.deviceRest.subarray(0, most);
    this.deviceRest = this.deviceRest.subarray(piece.length);
    this.deviceSays(piece);
  }

  /** The same of a node's link. */
  nodeSaysPart(who: string, bytes: Buffer, most: number): void {
    const link = this.linkOf(who);
    const all = Buffer.concat([this.nodeRests.get(link) ?? Buffer.alloc(0), bytes]);
    this.nodeRests.set(link, all.subarray(most));
    inScratch(all.subarray(0, most), (scratch, start, end) =>
      this.connection.linkData(link, scratch, start, end),
    );
  }

  private linkOf(who: string): Link {
    const ofNode = [...this.links].filter(([, { node }]) => node === who.replace('old ', ''));
    const [link] = ofNode.at(who.startsWith('old ') ? -2 : -1) ?? [];
    if (link === undefined) throw new Error(`${who} has no link`);
    return link;
  }

  private bytesOf(what: string): Buffer {
    return Buffer.concat(what.split(' | ').map((text) => bytesOf(text, this.version)));
  }

  pass(ms: number): void {
    const end = this.nowMs + ms;
    while (this.timerAtMs !== undefined && this.timerAtMs <= end) {
      this.nowMs = Math.max(this.nowMs, this.timerAtMs);
      this.timerAtMs = undefined;
      this.connection.timer();
    }
    this.nowMs = end;
  }

  private order(verb: string, words: readonly string[]): void {
    const to = words.find((word) => word.startsWith('to='))?.slice(3);
    if (verb === 'end') this.connection.end(words[0] as EndReason, words[1]);
    else if (verb === 'supersede') this.connection.superseded(words[0] === 'same');
    else if (verb === 'check') this.forwarder?.check();
    else if (verb === 'verdict') this.judge(words[0] ?? '');
    else if (verb === 'turn') this.queue.shift()?.begin();
    else if (verb === 'room') this.room.taker?.begin();
    else if (verb === 'elsewhere') this.room.taker?.goElsewhere();
    else this.lines.push(`answer ${this.forwarder?.moveAway(words[0] as MoveCause, to)}`);
  }

  private judge(word: string): void {
    const askers = [...this.askers];
    this.askers.clear();
    for (const asker of askers) asker.judged(word === 'lives' ? undefined : (word as Evidence));
  }

  /** This node, or every one, closes its end of the links that were ended by `flush`. */
  nodesClose(node?: string): void {
    const { left } = this;
    this.left = left.filter((each) => node !== undefined && each.node !== node);
    for (const each of left) if (!this.left.includes(each)) each.closed();
  }

  closes(): void {
    this.nodesClose();
    this.isClosed = true;
    this.connection.closed(1, 2);
  }
}

function isEnd(word: string): word is EndCause {
  return ['fin', 'reset', 'timeout', 'websocket', 'error'].includes(word);
}

function movedText({ cause, from, to, durationMs, sessionPresent }: MigrationResult): string {
  const end = to === undefined ? 'nowhere' : `${to} ${sessionPresent ? 'present' : 'rebuilt'}`;
  return `moved (${cause}) from ${from} to ${end} after ${durationMs}`;
}

/** In the middle of a larger buffer, which the engine then uses for something else. */
function inScratch(bytes: Buffer, use: (bytes: Uint8Array, start: number, end: number) => void): void {
  const scratch = Buffer.concat([Buffer.from('<<'), bytes, Buffer.from('>>')]);
  use(scratch, 2, 2 + bytes.length);
  scratch.fill(0xee);
}

/**
 * Plays a transcript, and expects exactly what it says. Lines with a colon behind the first word are played; the others
 * are what comes of them.
 */
export function play(script: string, options: SessionSceneOptions = {}): SessionScene {
  const scene = new SessionScene(options);
  return goOn(scene, script);
}

export function goOn(scene: SessionScene, script: string): SessionScene {
  const wanted = script
    .split('\n')
    .map((line) => line.trim())
    .filter((line) => line !== '' && !line.startsWith('--'));
  const heard: string[] = [];
  for (const line of wanted) {
    const [, who, what] = /^(device|time|loop|owner|wire|recalled|(?:old )?[a-z]): +(.*)$/.exec(line) ?? [];
    if (who === undefined || what === undefined) continue;
    scene.say(who, what);
    heard.push(line, ...scene.did());
  }
  expect(heard.join('\n')).toBe(wanted.join('\n'));
  return scene;
}

/** A device that node `a` serves. */
export function served(connect = 'CONNECT id=dev', options: SessionSceneOptions = {}): SessionScene {
  const scene = new SessionScene(options);
  scene.say('device', connect);
  scene.say('a', 'opens');
  scene.say('a', 'CONNACK');
  scene.did();
  return scene;
}

/** Node `a`, which serves the device, has not answered in time, nor has it answered a probe. */
export function hung(connect: string, options: SessionSceneOptions = {}): SessionScene {
  return goOn(
    served(connect, { evidence: 'ask', ...options }),
    `
    owner: check
      a gets PINGREQ
    time: ${0.4 * moves.silenceTimeoutMs}
      is a gone?
    owner: verdict no-answer
      a failed: silent`,
  );
}

/** Node `a`, which has served the device, is lost, and `b` is asked for the session. */
export function lostAndAsked(connect = 'CONNECT id=dev', options: SessionSceneOptions = {}): SessionScene {
  return goOn(
    served(connect, options),
    `
    a: reset
      a lost: reset
      end a: reset
    time: ${PACE_MS}
      dial b
    b: opens
      b gets ${connect}`,
  );
}

/** Node `a`, which serves the device, is drained, and `b` is asked for the session. */
export function drainedAndAsked(connect = 'CONNECT id=dev', options: SessionSceneOptions = {}): SessionScene {
  return goOn(
    served(connect, options),
    `
    owner: move drain
      dial b
      answer moving
    b: opens
      a gets PINGREQ
    a: PINGRESP
      b gets ${connect.replace(' clean', '')}`,
  );
}
