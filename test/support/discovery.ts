import type { DiscoveredNode, Discovery } from '../../src/membership/discovery/discovery.ts';
import { until } from './wait.ts';

/** A started discovery, with everything that it told. */
export function listenTo(discovery: Discovery) {
  const told: (readonly DiscoveredNode[])[] = [];
  const faults: string[] = [];
  discovery.start(
    (nodes) => told.push(nodes),
    (cause) => faults.push(cause),
  );
  const now = () =>
    (told.at(-1) ?? []).map(
      ({ spec, draining }) => `${spec.id} ${spec.url} ${spec.weight}${draining ? ' draining' : ''}`,
    );
  return {
    told,
    faults,
    now,
    /** Waits until exactly these nodes were told last, each `id url weight[ draining]`. */
    until: (nodes: readonly string[]) =>
      until(
        () => JSON.stringify(now()) === JSON.stringify(nodes),
        `${nodes}, but there was ${faults} and`,
      ).catch((error) => {
        throw new Error(`${error.message}: ${now()}`);
      }),
    untilFault: (count = 1) => until(() => faults.length >= count, `fault ${count}`),
    stop: () => discovery.stop(),
  };
}
