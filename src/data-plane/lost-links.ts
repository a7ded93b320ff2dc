import type { Asker, Evidence } from '../connection/evidence.ts';
import type { Verdict, WorkerEvent } from '../data-plane-api/messages.ts';
import type { TableReader } from '../data-plane-api/table-reader.ts';

/** A node that was gone then is gone for all links of before; those that are found out later than this are asked for anew. */
const REMEMBERED_MS = 5_000;

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

/** Links of this thread that ended of themselves, until the main thread says whether their nodes are gone. */
export class LostLinks {
  private readonly options: LostLinksOptions;
  private readonly waiting = new Map<string, Map<Asker, Times>>();
  private readonly gone = new Map<string, Verdict>();

  constructor(options: LostLinksOptions) {
    this.options = options;
  }

  /** What is known at once; else the main thread is asked, and `asker.judged` is called. @param attachedAtMs shared */
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

  /** A node that lived speaks for the links that were lost before; one that was gone, for those that were attached before. */
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
