import { RecentSet } from '../base/recent-set.ts';
import type { Clock, Timers } from '../base/time.ts';
import type { Evidence } from '../connection/evidence.ts';
import type { Finding } from './life.ts';
import { LossWindow } from './loss-window.ts';

/** Links of one node that ended, of one data thread. */
interface LinksLost {
  readonly node: string;
  /** Numbers that tell client ids apart, one a link. */
  readonly devices: readonly number[];
  /** Links that the node had before, of all threads. */
  readonly had: number;
  /** Since when the last of the sessions that ask has waited; undefined: none asks. */
  readonly askedAtMs: number | undefined;
}

interface NodeLossesOptions {
  /** By the clock that all threads share. */
  readonly clock: Clock;
  readonly timers: Pick<Timers, 'setTimeout'>;
  /** One look, within a second or so; a node that is not known any more is `undefined`. Never rejects. */
  readonly probe: (nodeId: string) => Promise<Finding | undefined>;
  /** Resolves, soon, when what all threads have heard by now is told here. Never rejects. */
  readonly settled: () => Promise<void>;
  /** May devices come back at other proxies, of which this one hears? */
  readonly hasPeers: () => boolean;
  /** Sends the verdict to every worker. Without evidence the node lived as of that time. */
  readonly verdict: (nodeId: string, evidence: Evidence | undefined, asOfMs: number) => void;
  /** Once for each incident; `lost` of `had` links were known to have ended by then. */
  readonly onGone: (
    nodeId: string,
    why: { evidence: Evidence; detail: string; lost: number; had: number },
  ) => void;
}

/**
 * A node that answers is not yet believed: links that end together come in one after the other, and another broker may
 * answer for one that is gone (a supervisor, an address that several share).
 */
const QUIET_MS = 50;
/** The longest wait: single devices that are thrown out all the time must not hold up each other. */
const MAX_QUIET_MS = 300;
/**
 * Where a node answers, ends of links prove something only if so long nobody was heard of who had taken them over: in this
 * process, and at another proxy, whose word comes through the store.
 */
const EXPLAINED_MS = 200;
const EXPLAINED_ELSEWHERE_MS = 1_000;
/** For so long a client id that was taken over says nothing: whoever fights for it goes on. */
const CONTESTED_MS = 5_000;
/** How long a connection of a client id that has just lost its link counts as the one that took it over. */
const LOST_MS = 1_000;
/** A bound of memory, some 5 MB in all. */
const MAX_CLIENTS = 65_536;
/** What ends so soon after its node was found to be gone belongs to the same incident, and is not counted again. */
const AFTERMATH_MS = 1_000;

interface Incident {
  readonly window: LossWindow;
  lastLossAtMs: number;
  /** The newest question that is not answered. */
  askedAtMs: number | undefined;
  /** Everything that was lost up to then has its answer, or gets it from the verdict that is on its way. */
  goneAtMs: number;
  isAsking: boolean;
}

/**
 * Decides whether links ended because their node is gone, or because a living broker ended them (decision 9). The
 * losses of all workers meet here. One link costs a number in a set; one incident costs a probe, one at a time for
 * each node.
 */
export class NodeLosses {
  private readonly options: NodeLossesOptions;
  private readonly incidents = new Map<string, Incident>();
  private readonly contested = new RecentSet(CONTESTED_MS, MAX_CLIENTS);
  private readonly lostLately = new RecentSet(LOST_MS, MAX_CLIENTS);

  constructor(options: NodeLossesOptions) {
    this.options = options;
  }

  lost({ node, devices, had, askedAtMs }: LinksLost): void {
    const incident = this.incidentOf(node);
    const nowMs = this.options.clock.now();
    if (askedAtMs !== undefined && askedAtMs <= incident.goneAtMs) return;
    incident.lastLossAtMs = nowMs;
    if (nowMs - incident.goneAtMs >= AFTERMATH_MS) this.count(incident.window, nowMs, devices, had);
    if (askedAtMs !== undefined) incident.askedAtMs = Math.max(incident.askedAtMs ?? 0, askedAtMs);
    const isInDoubt = incident.askedAtMs !== undefined || incident.window.isProof;
    if (isInDoubt && !incident.isAsking) void this.ask(node, incident);
  }

  private count(window: LossWindow, nowMs: number, devices: readonly number[], had: number): void {
    for (const device of devices) this.lostLately.add(device, nowMs);
    const uncontested = devices.filter((device) => !this.contested.has(device, nowMs));
    window.add(nowMs, uncontested, had);
  }

  /**
   * The broker has accepted a newer connection of this client id, beside an older one: links that it has lost, or loses soon, say
   * nothing of their nodes.
   */
  takenOver(device: number): void {
    const nowMs = this.options.clock.now();
    this.contested.add(device, nowMs);
    for (const incident of this.incidents.values())
      if (incident.window.remove(device)) incident.lastLossAtMs = nowMs; // others may follow
  }

  /** The broker has accepted a connection of this client id. If one has just lost its link, it was taken over. */
  accepted(device: number): void {
    if (this.lostLately.has(device, this.options.clock.now())) this.takenOver(device);
  }

  private incidentOf(node: string): Incident {
    let incident = this.incidents.get(node);
    if (incident === undefined) {
      const window = new LossWindow();
      incident = {
        window,
        lastLossAtMs: 0,
        askedAtMs: undefined,
        goneAtMs: Number.NEGATIVE_INFINITY,
        isAsking: false,
      };
      this.incidents.set(node, incident);
    }
    return incident;
  }

  /**
   * Probes until every question is answered. What ended together proves something only when it is over: many devices that
   * come back at once are taken over at once, and then the newer connections are heard of.
   */
  private async ask(node: string, incident: Incident): Promise<void> {
    const { clock, probe, verdict } = this.options;
    incident.isAsking = true;
    while (incident.askedAtMs !== undefined || incident.window.isProof) {
      const asOfMs = clock.now();
      const finding = await probe(node);
      if (finding === undefined) {
        this.gone(node, incident, 'removed', 'the node was removed');
      } else if (finding.kind === 'gone') {
        this.gone(node, incident, finding.evidence, finding.detail);
      } else {
        await this.quiet(incident, asOfMs + MAX_QUIET_MS);
        if (incident.window.isProof) await this.explanations();
        if (incident.window.isProof && incident.askedAtMs === undefined) {
          incident.window.clear(); // nobody has to be told, and at another proxy such devices may be taken over unseen
          break;
        }
        if (incident.window.isProof) {
          this.gone(node, incident, 'together', 'links ended together');
          break;
        }
        // A node that takes no devices lives as long as it has other links; where all of them ended, the node is gone.
        if (finding.kind === 'closes' && incident.window.lost >= incident.window.had) {
          this.gone(node, incident, 'no-answer', finding.detail);
          break;
        }
        if (incident.askedAtMs === undefined) break;
        verdict(node, undefined, asOfMs);
        if (incident.askedAtMs <= asOfMs) incident.askedAtMs = undefined;
      }
    }
    incident.isAsking = false;
  }

  private async quiet(incident: Incident, untilMs: number): Promise<void> {
    const { clock } = this.options;
    for (;;) {
      const waitMs = Math.min(incident.lastLossAtMs + QUIET_MS, untilMs) - clock.now();
      if (waitMs <= 0) return;
      await this.pause(waitMs);
    }
  }

  /** Of a takeover it is heard from other threads, or other proxies, and however busy the machine is. */
  private async explanations(): Promise<void> {
    const { hasPeers, settled } = this.options;
    await this.pause(hasPeers() ? EXPLAINED_ELSEWHERE_MS : EXPLAINED_MS);
    await settled();
  }

  private pause(ms: number): Promise<void> {
    return new Promise((resolve) => this.options.timers.setTimeout(resolve, ms));
  }

  private gone(node: string, incident: Incident, evidence: Evidence, detail: string): void {
    const { clock, verdict, onGone } = this.options;
    const { window } = incident;
    const { lost, had } = window;
    incident.goneAtMs = clock.now();
    incident.askedAtMs = undefined;
    window.clear();
    if (evidence === 'removed') this.incidents.delete(node);
    verdict(node, evidence, incident.goneAtMs);
    onGone(node, { evidence, detail, lost, had });
  }
}
