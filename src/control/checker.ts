import { isDeepStrictEqual } from 'node:util';
import { reasonOf } from '../health/probe.ts';
import { type FlipState, flip, type Thresholds, unobserved } from '../nodes/flip.ts';
import type { NodeSpec } from '../nodes/node.ts';
import { afterDial, afterFailedDial, type PassiveState, undisturbed } from '../nodes/passive.ts';
import { speaksMqtt } from '../nodes/url.ts';
import type { Clock, Random } from '../time.ts';

/** How one pool's nodes are checked. */
export interface HealthOptions extends Thresholds {
  readonly probe: 'tcp' | 'http' | 'mqtt';
  readonly intervalMs: number;
  readonly timeoutMs: number;
  readonly path: string;
}

export type CheckedNode = Pick<NodeSpec, 'id' | 'pool' | 'url' | 'probeUrl'>;

export interface Timers {
  setTimeout(run: () => void, ms: number): unknown;
  clearTimeout(timer: unknown): void;
}

export interface CheckerOptions {
  /** Resolves when the node serves; rejects after `timeoutMs` at the latest, and soon after `signal` aborts. */
  readonly probe: (node: CheckedNode, health: HealthOptions, signal: AbortSignal) => Promise<void>;
  readonly healthOf: (pool: string) => HealthOptions;
  /** Told once for each flip; `cause` is for people: `tcp probe failed 3 times: ECONNREFUSED`. */
  readonly onFlip: (nodeId: string, health: 'healthy' | 'unhealthy', cause: string) => void;
  readonly onProbe: (nodeId: string, seconds: number, ok: boolean) => void;
  readonly clock: Clock;
  readonly random: Random;
  readonly timers: Timers;
}

/** Between probes of a node under suspicion: a dead one is found out in a fraction of a second. */
const SUSPECT_INTERVAL_MS = 100;

interface Watch {
  readonly node: CheckedNode;
  health: HealthOptions;
  flip: FlipState;
  passive: PassiveState;
  /** When the next probe is due by the interval. */
  dueAt: number;
  /** Set between probes. */
  timer: unknown;
  /** Set while a probe runs. */
  running: AbortController | undefined;
  /** Probed every SUSPECT_INTERVAL_MS until it flips or succeeds. */
  suspect: boolean;
  /** Made unhealthy by failed dials: what brings it back must be more than an open port. */
  dialsFailed: boolean;
  /** It has stopped its own heartbeats: unhealthy, and not probed. */
  absent: boolean;
}

/**
 * Judges the health of nodes from probes on a schedule and from what the traffic tells.
 *
 * Each node is probed once an interval at a moment of its own, so that many nodes are not probed together, and never
 * by two probes at a time: while a slow one runs, those that fall due are left out. A node starts `unknown`, which is
 * as good as healthy, and its first probe decides at once. Traffic can only make a node unhealthy; probes bring it back.
 * Where dials failed, it is the `mqtt` probe at the node itself that brings it back, whatever the pool's probe is: the
 * kernel accepts for a process that hangs, and a status page may be served by another one, so that a weaker probe would
 * let the node flap. With an HTTP node only its TCP connects count as dials, and so `tcp` will do.
 */
export class Checker {
  readonly #options: CheckerOptions;
  readonly #byId = new Map<string, Watch>();

  constructor(options: CheckerOptions) {
    this.#options = options;
  }

  /** Starts to watch a node; one that is known by this id starts over. */
  add(node: CheckedNode): void {
    this.remove(node.id);
    const { clock, random, healthOf } = this.#options;
    const health = healthOf(node.pool);
    const dueAt = clock.now() + random() * health.intervalMs;
    const state = { flip: unobserved, passive: undisturbed, running: undefined, timer: undefined };
    const watch: Watch = { node, health, dueAt, ...state, suspect: false, dialsFailed: false, absent: false };
    this.#byId.set(node.id, watch);
    this.#scheduleDue(watch);
  }

  /** Starts over, as `unknown`, a node that is now reached or probed elsewhere; ignores any other change. */
  update(node: CheckedNode): void {
    const known = this.#byId.get(node.id)?.node;
    const same = known?.url === node.url && known.probeUrl === node.probeUrl && known.pool === node.pool;
    if (!same) this.add(node);
  }

  /** The pool's checks are others now: what was found so far stays, and the next probes go by them. */
  retune(pool: string): void {
    const { clock, random, healthOf, timers } = this.#options;
    for (const watch of this.#byId.values()) {
      const health = healthOf(pool);
      if (watch.node.pool !== pool || isDeepStrictEqual(watch.health, health)) continue;
      watch.health = health;
      watch.dueAt = clock.now() + random() * health.intervalMs;
      if (watch.running || watch.suspect || watch.absent) continue;
      timers.clearTimeout(watch.timer);
      this.#scheduleDue(watch);
    }
  }

  /** Nothing of this node is told any more, not even the verdict of a probe that runs. */
  remove(nodeId: string): void {
    const watch = this.#byId.get(nodeId);
    if (!watch) return;
    this.#byId.delete(nodeId);
    this.#options.timers.clearTimeout(watch.timer);
    watch.running?.abort();
  }

  stop(): void {
    for (const nodeId of [...this.#byId.keys()]) this.remove(nodeId);
  }

  /** The node no longer says that it lives: unhealthy, whatever a probe would find, until `present`. */
  absent(nodeId: string, cause: string): void {
    const watch = this.#byId.get(nodeId);
    if (!watch || watch.absent) return;
    watch.absent = true;
    this.#options.timers.clearTimeout(watch.timer);
    watch.running?.abort();
    if (watch.flip.health !== 'unhealthy') this.#turn(watch, 'unhealthy', cause);
  }

  /** The node says again that it lives: it starts over, and its first probe decides at once. */
  present(nodeId: string): void {
    const watch = this.#byId.get(nodeId);
    if (!watch?.absent) return;
    watch.absent = false;
    watch.flip = unobserved;
    if (!watch.running)
      this.#scheduleIn(watch, 0); // else it follows the one that was broken off
    else watch.suspect = true;
  }

  /** A device could not be served there; `reason` is a word such as `refused`. */
  dialFailed(nodeId: string, reason: string): void {
    const watch = this.#byId.get(nodeId);
    if (!watch || watch.flip.health === 'unhealthy') return;
    watch.passive = afterFailedDial(watch.passive);
    const { failedDials } = watch.passive;
    if (failedDials < watch.health.unhealthyThreshold) return;
    watch.dialsFailed = true;
    watch.running?.abort(); // its verdict would be about less than what failed
    this.#turn(watch, 'unhealthy', `${failedDials} dials failed: ${reason}`);
  }

  /** The node answered CONNACK. */
  dialSucceeded(nodeId: string): void {
    const watch = this.#byId.get(nodeId);
    if (watch) watch.passive = afterDial(watch.passive);
  }

  /** Its links ended, and it seems to be gone: it is probed at once, and again soon, until it flips or a probe succeeds. */
  suspect(nodeId: string): void {
    const watch = this.#byId.get(nodeId);
    if (!watch || watch.suspect || watch.absent || watch.flip.health === 'unhealthy') return;
    watch.suspect = true;
    if (watch.running) {
      // It began before the suspicion and says nothing about it: the next one follows its end at once.
      watch.running.abort();
    } else {
      this.#options.timers.clearTimeout(watch.timer);
      void this.#probe(watch);
    }
  }

  /** At the node's next moment by the interval; those that a slow probe covered are left out. */
  #scheduleDue(watch: Watch): void {
    const { clock, timers } = this.#options;
    const { intervalMs } = watch.health;
    const now = clock.now();
    if (watch.dueAt < now) watch.dueAt += Math.ceil((now - watch.dueAt) / intervalMs) * intervalMs;
    watch.timer = timers.setTimeout(() => {
      watch.dueAt += intervalMs;
      void this.#probe(watch);
    }, watch.dueAt - now);
  }

  #scheduleIn(watch: Watch, delayMs: number): void {
    watch.timer = this.#options.timers.setTimeout(() => void this.#probe(watch), delayMs);
  }

  async #probe(watch: Watch): Promise<void> {
    const { clock, probe, onProbe } = this.#options;
    const { node, health } = watch;
    const { id, pool, url } = node;
    const itself = watch.dialsFailed ? { id, pool, url } : node;
    const running = new AbortController();
    watch.running = running;
    const startedAt = clock.now();
    let failure: string | undefined;
    try {
      await probe(itself, { ...health, probe: probeName(watch) }, running.signal);
    } catch (error) {
      failure = reasonOf(error);
    }
    watch.running = undefined;
    if (!this.#watches(watch) || watch.absent) return;
    if (running.signal.aborted) return watch.suspect ? this.#scheduleIn(watch, 0) : this.#scheduleDue(watch);
    onProbe(node.id, (clock.now() - startedAt) / 1000, failure === undefined);
    this.#judge(watch, failure);
    if (!this.#watches(watch)) return; // whoever was told of the flip removed it
    if (watch.suspect) this.#scheduleIn(watch, SUSPECT_INTERVAL_MS);
    else this.#scheduleDue(watch);
  }

  #watches(watch: Watch): boolean {
    return this.#byId.get(watch.node.id) === watch;
  }

  #judge(watch: Watch, failure: string | undefined): void {
    const { flip: before, health } = watch;
    const ok = failure === undefined;
    watch.flip = flip(before, ok, health);
    const name = probeName(watch);
    if (ok) watch.suspect = false;
    if (watch.flip.health === before.health) return;
    if (ok) watch.dialsFailed = false;
    const count = before.streak + 1;
    const times = count === 1 ? '' : ` ${count} times`;
    const successes = count === 1 ? `${name} probe` : `${count} probes`;
    this.#turn(
      watch,
      ok ? 'healthy' : 'unhealthy',
      ok ? `${successes} succeeded` : `${name} probe failed${times}: ${failure}`,
    );
  }

  #turn(watch: Watch, health: 'healthy' | 'unhealthy', cause: string): void {
    watch.flip = { health, streak: 0 };
    watch.passive = undisturbed;
    watch.suspect = false;
    this.#options.onFlip(watch.node.id, health, cause);
  }
}

/** Where devices failed, a probe does what they do, as far as we speak it. */
function probeName({ dialsFailed, health, node }: Watch): HealthOptions['probe'] {
  if (!dialsFailed) return health.probe;
  return speaksMqtt(node.url) ? 'mqtt' : 'tcp';
}
