/** Devices that were turned away, by reason and minute, from counters that only grow. */

const MINUTE_MS = 60_000;

interface RefusalMinute {
  readonly reason: string;
  readonly count: number;
}

export class RefusalMinutes {
  private readonly before = new Map<string, number>();
  private endsAtMs: number;

  /** @param nowMs milliseconds since 1970 */
  constructor(nowMs: number) {
    this.endsAtMs = nextMinute(nowMs);
  }

  /** To be called now and then: what was counted in a minute that has ended since; mostly nothing. */
  look(nowMs: number, totals: () => Iterable<RefusalMinute>): RefusalMinute[] {
    if (nowMs < this.endsAtMs) return [];
    this.endsAtMs = nextMinute(nowMs);
    const grown: RefusalMinute[] = [];
    for (const { reason, count } of totals()) {
      const more = count - (this.before.get(reason) ?? 0);
      this.before.set(reason, count);
      if (more > 0) grown.push({ reason, count: more });
    }
    return grown;
  }
}

function nextMinute(nowMs: number): number {
  return (Math.floor(nowMs / MINUTE_MS) + 1) * MINUTE_MS;
}
