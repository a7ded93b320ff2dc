import { RecentSet } from '../base/recent-set.ts';
import type { Asker, Evidence } from '../connection/evidence.ts';
import type { Verdict, WorkerEvent } from '../data-plane-api/messages.ts';
import type { TableReader } from '../data-plane-api/table-reader.ts';

/**
 * For so long an answer about a node holds for all links that were lost before it. Links that are lost later are
 * asked for anew.
 */
const REMEMBERED_MS = 5_000;

/** How long a newer connection of a client id explains that it has lost its link. */
const EXPLAINED_MS = 1_000;
/** A bound of memory, some MB. */
const MAX_CLIENTS = 65_536;

/** Times of a lost link, on the shared clock. */
interface Times {
  readonly attachedAtMs: number;
  readonly lostAtMs: number;
}

interface LostLinksOptions {
  readonly table: Pick<TableReader, 'faultOf'>;
  /** Milliseconds, the same for all threads. */
  readonly now: () => number;
  readonly tell: (event: WorkerEvent) => void;
}

/** Links that ended by themselves, until the main thread says whether their nodes are gone. */
export class LostLinks {
  private readonly options: LostLinksOptions;
  private readonly waiting = new Map<string, Map<Asker, Times>>();
  private readonly gone = new Map<string, Verdict>();
  private readonly lately = new RecentSet(EXPLAINED_MS, MAX_CLIENTS);

  constructor(options: LostLinksOptions) {
    this.options = options;
  }

  /** @param client number of its client id @param had links that the node had before */
  lost(node: string, client: number, had: number): void {
    this.lately.add(client, this.options.now());
    this.options.tell({ type: 'link-lost', node, devices: [client], had, askedAtMs: undefined });
  }

  /** Has a connection of this client id lost its link a moment ago? */
  hasLost(client: number): boolean {
    return this.lately.has(client, this.options.now());
  }

  /**
   * The answer, where it is known at once; else the main thread is asked, and `asker.judged` is called. @param
   * attachedAtMs on the shared clock
   */
  evidence(asker: Asker, attachedAtMs: number): Evidence | undefined {
    const { table, now, tell } = this.options;
    const { slot, nodeId: node } = asker.target;
    const lostAtMs = now();
    const gone = this.gone.get(node);
    const wasGone = gone !== undefined && attachedAtMs <= gone.asOfMs;
    if (wasGone && lostAtMs - gone.asOfMs < REMEMBERED_MS) return gone.evidence;
    const fault = table.faultOf(slot);
    if (fault !== undefined) return fault;
    const ofNode = this.waiting.get(node) ?? new Map<Asker, Times>();
    this.waiting.set(node, ofNode.set(asker, { attachedAtMs, lostAtMs }));
    tell({ type: 'link-lost', node, devices: [], had: 0, askedAtMs: lostAtMs });
    return undefined;
  }

  forget(asker: Asker): void {
    this.waiting.get(asker.target.nodeId)?.delete(asker);
  }

  /**
   * An answer that the node lives holds for links that were lost before it; one that it is gone, for links that
   * were attached before it.
   */
  answered(verdict: Verdict): void {
    const { node, evidence, asOfMs } = verdict;
    if (evidence !== undefined) this.gone.set(node, verdict);
    const ofNode = this.waiting.get(node);
    if (ofNode === undefined) return;
    for (const [asker, { attachedAtMs, lostAtMs }] of ofNode) {
      if ((evidence === undefined ? lostAtMs : attachedAtMs) > asOfMs) continue;
      ofNode.delete(asker);
      asker.judged(evidence);
    }
    if (ofNode.size === 0) this.waiting.delete(node);
  }
}
