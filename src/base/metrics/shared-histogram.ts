import type { Metric } from 'prom-client';

/** A histogram that was counted elsewhere. */
export interface SharedHistogram {
  /** Upper bounds in ascending order; +Inf is implied. */
  readonly bounds: readonly number[];
  /** Observations in each bucket alone (not cumulative); one more than there are bounds. */
  readonly counts: readonly number[];
  readonly sum: number;
}

/** One that is counted in this process, and goes on in the one after it. */
export interface NamedHistogram extends SharedHistogram {
  readonly name: string;
}

/** A metric that shows such a histogram: prom-client's own can only be observed one value at a time. */
export function sharedHistogram(name: string, help: string) {
  let histogram: SharedHistogram = { bounds: [], counts: [0], sum: 0 };

  function values() {
    let cumulative = 0;
    const buckets = histogram.counts.map((count, i) => {
      cumulative += count;
      return {
        metricName: `${name}_bucket`,
        labels: { le: histogram.bounds[i] ?? '+Inf' },
        value: cumulative,
      };
    });
    return [
      ...buckets,
      { metricName: `${name}_sum`, labels: {}, value: histogram.sum },
      { metricName: `${name}_count`, labels: {}, value: cumulative },
    ];
  }

  const metric = {
    name,
    help,
    get: async () => ({ name, help, type: 'histogram', values: values(), aggregator: 'sum' }),
  };
  return {
    metric: metric as unknown as Metric,
    set(next: SharedHistogram): void {
      histogram = next;
    },
  };
}

/** One whose values are observed here, or in the process before this one. */
export function ownHistogram(name: string, help: string, bounds: readonly number[]) {
  const { metric, set } = sharedHistogram(name, help);
  const counts = new Array<number>(bounds.length + 1).fill(0);
  let sum = 0;
  const show = (): void => set({ bounds, counts, sum });
  show();
  return {
    metric,
    /** A value that is equal to a bound is below it. */
    observe(value: number): void {
      const above = bounds.findIndex((bound) => value <= bound);
      const at = above < 0 ? bounds.length : above;
      counts[at] = (counts[at] ?? 0) + 1;
      sum += value;
      show();
    },
    describe: (): NamedHistogram => ({ name, bounds: [...bounds], counts: [...counts], sum }),
    /** One of another name, or with other buckets, is passed over. */
    restore(known: NamedHistogram): void {
      if (known.name !== name || known.bounds.join() !== bounds.join()) return;
      for (const [at, count] of known.counts.slice(0, counts.length).entries())
        counts[at] = (counts[at] ?? 0) + count;
      sum += known.sum;
      show();
    },
  };
}
