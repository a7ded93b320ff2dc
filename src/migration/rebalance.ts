/** A node that takes part: how many connections it has, and its share. */
export interface Loaded {
  readonly id: string;
  readonly count: number;
  readonly weight: number;
}

export interface PlannedMove {
  readonly from: string;
  readonly to: string;
  readonly count: number;
}

/** Part of the fair share by which the fullest and the emptiest node may differ. */
export const DEFAULT_TOLERANCE = 0.1;

interface Fill {
  readonly id: string;
  readonly weight: number;
  count: number;
}

const afterGiving = ({ count, weight }: Fill): number => (count - 1) / weight;
const afterTaking = ({ count, weight }: Fill): number => (count + 1) / weight;

function highest(fills: readonly Fill[], by: (fill: Fill) => number): Fill | undefined {
  let best: Fill | undefined;
  for (const fill of fills) if (best === undefined || by(fill) > by(best)) best = fill;
  return best;
}

/** How far the fullest node is from the emptiest, in parts of the fair share; 0 where there is nothing to share. */
export function spreadOf(nodes: readonly Loaded[]): number {
  const fair = fairFill(nodes);
  if (fair === 0) return 0;
  const fills = nodes.map(({ count, weight }) => count / weight);
  return (Math.max(...fills) - Math.min(...fills)) / fair;
}

/** Connections for each unit of weight, were all shared out evenly. */
function fairFill(nodes: readonly Loaded[]): number {
  const weights = nodes.reduce((sum, { weight }) => sum + weight, 0);
  return weights === 0 ? 0 : nodes.reduce((sum, { count }) => sum + count, 0) / weights;
}

/**
 * The fewest moves after which the spread is within `tolerance`, or as small as whole connections allow: one after the
 * other from the fullest node to the emptiest. No connection moves twice, so there are never more moves than connections.
 */
export function planRebalance(nodes: readonly Loaded[], tolerance: number): PlannedMove[] {
  const tolerated = tolerance * fairFill(nodes);
  const fills: Fill[] = nodes.map((node) => ({ ...node }));
  const planned = new Map<string, Map<string, number>>();
  const total = fills.reduce((sum, { count }) => sum + count, 0);
  if (!Number.isFinite(total)) return [];
  for (let moves = 0; moves < total; moves++) {
    const fullest = highest(fills, (node) => node.count / node.weight);
    const emptiest = highest(fills, (node) => -node.count / node.weight);
    if (fullest === undefined || emptiest === undefined) break;
    if (fullest.count / fullest.weight - emptiest.count / emptiest.weight <= tolerated) break;
    const giver = highest(fills, afterGiving) as Fill;
    const taker = highest(fills, (node) => -afterTaking(node)) as Fill;
    if (afterGiving(giver) < afterTaking(taker)) break; // one more would only turn the two around
    giver.count--;
    taker.count++;
    const targets = planned.get(giver.id) ?? new Map<string, number>();
    targets.set(taker.id, (targets.get(taker.id) ?? 0) + 1);
    planned.set(giver.id, targets);
  }
  return [...planned].flatMap(([from, targets]) => [...targets].map(([to, count]) => ({ from, to, count })));
}

/**
 * Shares planned moves out among proxies, each of which can move only its own connections. `live` has one entry a
 * proxy: its connections by node. What no proxy has is left out.
 */
export function shareOut(
  moves: readonly PlannedMove[],
  live: readonly Iterable<readonly [node: string, count: number]>[],
): PlannedMove[][] {
  const rest = live.map((counts) => new Map(counts));
  const shares: PlannedMove[][] = live.map(() => []);
  for (const { from, to, count } of moves) {
    let wanted = count;
    const have = rest.map((counts) => counts.get(from) ?? 0);
    const total = have.reduce((sum, each) => sum + each, 0);
    have.forEach((available, proxy) => {
      const share = Math.min(available, wanted, total === 0 ? 0 : Math.ceil((count * available) / total));
      if (share === 0) return;
      wanted -= share;
      rest[proxy]?.set(from, available - share);
      shares[proxy]?.push({ from, to, count: share });
    });
  }
  return shares;
}
