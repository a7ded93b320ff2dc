import { isDeepStrictEqual } from 'node:util';
import type { Clock, Random, Timers } from '../base/time.ts';
import type { NodeSpec } from '../nodes/node.ts';
import { speaksMqtt } from '../nodes/url.ts';
import { type FlipState, flip, type Thresholds, unobserved } from './flip.ts';
import type { Finding } from './life.ts';
import { afterFailedDial, afterSilentLink, type PassiveState, undisturbed } from './passive.ts';
import { reasonOf } from './probe.ts';
import { Suspicion } from './suspicion.ts';

/** How one pool's nodes are checked. */
export interface HealthOptions extends Thresholds {
  readonly probe: 'tcp' | 'http' | 'mqtt';
  readonly intervalMs: number;
  readonly timeoutMs: number;
  readonly path: string;
}

/** What one process tells the next of a node that it has checked. */
interface KnownHealth extends FlipState {
  readonly id: string;
  /** See `Watch`. */
  readonly fails: boolean;
}

export type CheckedNode = Pick<NodeSpec, 'id' | 'pool' | 'url' | 'probeUrl'>;

interface CheckerOptions {
  /** Resolves when the node serves; rejects after `timeoutMs` at the latest, and soon after `signal` aborts. */
  readonly probe: (node: CheckedNode, health: HealthOptions, signal: AbortSignal) => Promise<void>;
  /** One look for a sign of life of the node itself, within a second or so; undefined: it is not known any more. */
  readonly look: (node: CheckedNode) => Promise<Finding | undefined>;
  /** Does this proxy have links to the node that live? */
  readonly hasLinks: (nodeId: string) => boolean;
  /** The node lives and takes no devices at present; or takes devices again. */
  readonly onBusy: (nodeId: string, isBusy: boolean) => void;
  readonly healthOf: (pool: string) => HealthOptions;
  /** Called once for each flip; `cause` is for people: `tcp probe failed 3 times: ECONNREFUSED`. */
  readonly onFlip: (nodeId: string, health: 'healthy' | 'unhealthy', cause: string) => void;
  /** `failure` is absent where the node serves. */
  readonly onProbe: (nodeId: string, seconds: number, failure: string | undefined) => void;
  readonly clock: Clock;
  readonly random: Random;
  readonly timers: Timers;
}

/** After a sign of life, failed dials raise no new suspicion for so long: devices may be many whose CONNECTs fail. */
const CLEARED_MS = 500;

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
  suspicion: Suspicion | undefined;
  /** When the last suspicion ended without proof. */
  clearedAt: number;
  /**
   * The node was made unhealthy by failures of devices. Only a probe that does what devices do brings it back, not
   * an open port.
   */
  fails: boolean;
  /** The next probe follows at once on the one that is broken off. */
  isDue: boolean;
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
 * let the node flap. With an HTTP node only its TCP connects count as dials, and so `tcp` will do. Who changes a health, and when,
 * is in `LIFECYCLE.md`.
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
    const flags = { suspicion: undefined, clearedAt: Number.NEGATIVE_INFINITY, fails: false, isDue: false };
    const watch: Watch = { node, health, dueAt, ...state, ...flags, absent: false };
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
      if (watch.running || watch.absent) continue;
      timers.clearTimeout(watch.timer);
      this.#scheduleDue(watch);
    }
  }

  /** What is known of each node, for the process after this one. */
  describe(): KnownHealth[] {
    return [...this.#byId.values()].map(({ node, flip, fails }) => ({ id: node.id, ...flip, fails }));
  }

  /** Goes on from what was known of a node; the health is told, if there is one. */
  restore({ id, health, streak, fails }: KnownHealth, cause: string): void {
    const watch = this.#byId.get(id);
    if (watch === undefined || watch.absent || health === 'unknown') return;
    watch.flip = { health, streak };
    watch.fails = fails;
    this.#options.onFlip(id, health, cause);
  }

  /** Nothing more is reported about this node, not even the verdict of a probe that runs. */
  remove(nodeId: string): void {
    const watch = this.#byId.get(nodeId);
    if (!watch) return;
    this.#byId.delete(nodeId);
    this.#options.timers.clearTimeout(watch.timer);
    watch.running?.abort();
    watch.suspicion?.stop();
  }

  stop(): void {
    for (const nodeId of [...this.#byId.keys()]) this.remove(nodeId);
  }

  /** The heartbeats of the node have stopped: it is unhealthy, whatever a probe would find, until `present`. */
  absent(nodeId: string, cause: string): void {
    const watch = this.#byId.get(nodeId);
    if (!watch || watch.absent) return;
    watch.absent = true;
    this.#options.timers.clearTimeout(watch.timer);
    watch.running?.abort();
    if (watch.flip.health !== 'unhealthy') this.#turn(watch, 'unhealthy', cause);
  }

  /** The heartbeats of the node are back: it starts over, and its first probe decides at once. */
  present(nodeId: string): void {
    const watch = this.#byId.get(nodeId);
    if (!watch?.absent) return;
    watch.absent = false;
    watch.flip = unobserved;
    if (!watch.running)
      this.#scheduleIn(watch, 0); // else it follows the one that was broken off
    else watch.isDue = true;
  }

  /**
   * A device could not be served there. Several in a row are a suspicion; `silent` is a session's link that answers no
   * PINGREQ, and several of these are proof.
   */
  dialFailed(nodeId: string, reason: string): void {
    const watch = this.#byId.get(nodeId);
    if (!watch || watch.flip.health === 'unhealthy') return;
    const isSilent = reason === 'silent';
    watch.passive = (isSilent ? afterSilentLink : afterFailedDial)(watch.passive);
    const { failedDials, silentLinks } = watch.passive;
    const { unhealthyThreshold } = watch.health;
    if (silentLinks >= unhealthyThreshold) return this.#fail(watch, `${silentLinks} links are silent`);
    const isCleared = this.#options.clock.now() - watch.clearedAt < CLEARED_MS;
    if (failedDials >= unhealthyThreshold && !isCleared && watch.suspicion === undefined)
      this.suspect(nodeId);
  }

  /** The node answered CONNACK. */
  dialSucceeded(nodeId: string): void {
    const watch = this.#byId.get(nodeId);
    if (watch) watch.passive = undisturbed;
  }

  /**
   * Lost links say that the node is gone: it is looked at at once, and again soon, until that is proven or refuted.
   */
  suspect(nodeId: string): void {
    const watch = this.#byId.get(nodeId);
    if (!watch || watch.absent || watch.flip.health === 'unhealthy') return;
    if (watch.suspicion !== undefined) return watch.suspicion.lookSoon();
    const { look, hasLinks, onBusy, timers } = this.#options;
    watch.suspicion = new Suspicion({
      look: () => look(watch.node),
      limit: watch.health.unhealthyThreshold,
      hasLinks: () => hasLinks(nodeId),
      onBusy: (isBusy) => onBusy(nodeId, isBusy),
      onEnd: (detail) => this.#suspicionEnded(watch, detail),
      timers,
    });
  }

  #suspicionEnded(watch: Watch, detail: string | undefined): void {
    watch.suspicion = undefined;
    if (detail !== undefined)
      return this.#fail(watch, `no sign of life ${watch.health.unhealthyThreshold} times: ${detail}`);
    watch.clearedAt = this.#options.clock.now();
    watch.passive = undisturbed;
  }

  /** Unhealthy, by what it did to devices. */
  #fail(watch: Watch, cause: string): void {
    watch.fails = true;
    watch.running?.abort(); // its verdict would be about less than what failed
    this.#turn(watch, 'unhealthy', cause);
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
    const itself = watch.fails ? { id, pool, url } : node;
    const running = new AbortController();
    watch.running = running;
    watch.isDue = false;
    const startedAt = clock.now();
    let failure: string | undefined;
    try {
      await probe(itself, { ...health, probe: probeName(watch) }, running.signal);
    } catch (error) {
      failure = reasonOf(error);
    }
    watch.running = undefined;
    if (!this.#watches(watch) || watch.absent) return;
    if (running.signal.aborted && watch.isDue) return this.#scheduleIn(watch, 0);
    if (running.signal.aborted) return this.#scheduleDue(watch);
    onProbe(node.id, (clock.now() - startedAt) / 1000, failure);
    this.#judge(watch, failure);
    if (this.#watches(watch)) this.#scheduleDue(watch); // else the node was removed when the flip was reported
  }

  #watches(watch: Watch): boolean {
    return this.#byId.get(watch.node.id) === watch;
  }

  #judge(watch: Watch, failure: string | undefined): void {
    const { flip: before, health } = watch;
    const ok = failure === undefined;
    watch.flip = flip(before, ok, health);
    const name = probeName(watch);
    if (watch.flip.health === before.health) return;
    if (ok) watch.fails = false;
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
    watch.suspicion?.stop();
    watch.suspicion = undefined;
    this.#options.onFlip(watch.node.id, health, cause);
  }
}

/** Where devices failed, a probe does what they do, as far as we speak it. */
function probeName({ fails, health, node }: Watch): HealthOptions['probe'] {
  if (!fails) return health.probe;
  return speaksMqtt(node.url) ? 'mqtt' : 'tcp';
}
