import { readFileSync } from 'node:fs';
import type { DescriptorShortage } from '../admin/backend.ts';
import type { Log } from '../base/log.ts';

/** What a proxy holds besides connections. */
interface DescriptorUse {
  readonly threads: number;
  readonly listeners: number;
  readonly nodes: number;
}

/** Node itself, the log, the store, discoveries, TLS files. */
const PROCESS = 64;
/** The admin API goes on when devices have taken all that they may. */
const ADMIN = 64;
/** An epoll instance, an eventfd, what Node keeps for a Worker. */
const PER_THREAD = 16;
/** A device and its link. */
const PER_DEVICE = 2;

/** Open files that this process may have; undefined where that is not known. Node has raised it to the hard limit. */
function openFilesLimit(): number | undefined {
  try {
    const [, soft] = /^Max open files +(\d+)/m.exec(readFileSync('/proc/self/limits', 'utf8')) ?? [];
    return soft === undefined ? undefined : Number(soft);
  } catch {
    return undefined; // another system than Linux, or unlimited
  }
}

/** Descriptors that `maxConnections` devices, and everything else, may take at one time. */
function descriptorsNeeded(use: DescriptorUse, maxConnections: number): number {
  return reserved(use) + PER_DEVICE * maxConnections;
}

/** Devices that so many descriptors are enough for, with a reserve for all else; at least one. */
function devicesWithin(use: DescriptorUse, limit: number): number {
  return Math.max(1, Math.floor((limit - Math.min(reserved(use), limit / 2)) / PER_DEVICE));
}

/**
 * Has limits hold to what this process may open: devices beyond that are refused as those beyond `maxConnections` are, and
 * probes, store and admin API have theirs. Said once for each number that is configured.
 */
export function createDescriptorBound(
  log: Log,
  use: () => DescriptorUse,
  limit: number | undefined = openFilesLimit(),
) {
  let told: number | undefined;
  let shortage: DescriptorShortage | undefined;
  return {
    bound<Limits extends { readonly maxConnections: number }>(limits: Limits): Limits {
      if (limit === undefined) return limits;
      const { maxConnections } = limits;
      const most = Math.min(maxConnections, devicesWithin(use(), limit));
      const needed = descriptorsNeeded(use(), maxConnections);
      shortage = most < maxConnections ? { limit, needed, maxConnections: most } : undefined;
      if (shortage !== undefined && told !== maxConnections)
        log.warn({ ...shortage }, 'open files are too few for limits.maxConnections');
      told = maxConnections;
      return { ...limits, maxConnections: most };
    },
    /** As it was when limits were bound last. */
    shortage: (): DescriptorShortage | undefined => shortage,
  };
}

/** Each node may have a probe under way, and each thread has its own socket of each listener. */
function reserved({ threads, listeners, nodes }: DescriptorUse): number {
  return PROCESS + ADMIN + threads * (PER_THREAD + listeners) + nodes;
}
