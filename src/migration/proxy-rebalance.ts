/** How many devices each proxy has too many. */

/** A proxy that takes devices. */
export interface FilledProxy {
  readonly id: string;
  readonly connections: number;
}

export interface Surplus {
  readonly id: string;
  readonly count: number;
}

/** How far the fullest proxy is from the emptiest, in parts of the mean; 0 where there is nothing to share. */
export function proxySpread(proxies: readonly FilledProxy[]): number {
  const mean = meanOf(proxies);
  if (mean === 0) return 0;
  const counts = proxies.map(({ connections }) => connections);
  return (Math.max(...counts) - Math.min(...counts)) / mean;
}

/**
 * What each proxy has above the mean, and never more: those devices alone are to leave. None where the proxies differ by
 * less than `tolerance`, or where there is no other to go to.
 */
export function surplusOf(proxies: readonly FilledProxy[], tolerance: number): readonly Surplus[] {
  if (proxies.length < 2 || proxySpread(proxies) <= tolerance) return [];
  const mean = Math.ceil(meanOf(proxies));
  return proxies.flatMap(({ id, connections }) =>
    connections > mean ? [{ id, count: connections - mean }] : [],
  );
}

function meanOf(proxies: readonly FilledProxy[]): number {
  if (proxies.length === 0) return 0;
  return proxies.reduce((sum, { connections }) => sum + connections, 0) / proxies.length;
}
