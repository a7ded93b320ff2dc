import type { Metric } from 'prom-client';

/** A histogram that was counted elsewhere. */
export interface SharedHistogram {
  /** Upper bounds in ascending order; +Inf is implied. */
  readonly bounds: readonly number[];
  /** Observations in each bucket alone (not cumulative); one more than there are bounds. */
  readonly counts: readonly number[];
  readonly sum: number;
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
