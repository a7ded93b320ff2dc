import type { SessionOptions } from '../session/index.ts';
import type { ConnectionHost, PoolRoute } from './connection-host.ts';

/** Packets that take about a millisecond: one read may hold thirty thousand. */
const PACKETS_PER_CALL = 4096;

const made = new WeakMap<PoolRoute, SessionOptions>();

/** What a session must know besides its CONNECT: one value for all sessions of a route, because there are very many. */
export function sessionOptions(
  host: ConnectionHost,
  route: PoolRoute,
  isAnonymous: boolean,
  chosen?: string,
): SessionOptions {
  let options = made.get(route);
  if (options === undefined) {
    const { limits, sessionLimits, messages, traffic } = host;
    options = {
      maxPacketBytes: limits.maxPacketBytes,
      maxOfflineBytes: sessionLimits.maxOfflineBytes,
      maxInflightBytes: sessionLimits.maxInflightBytes,
      packetsPerCall: PACKETS_PER_CALL,
      maxStateBytes: sessionLimits.maxStateBytes,
      clientId: '',
      takeoverFiresWill: route.moves.takeoverFiresWill,
      leavesFirst: route.moves.leavesFirst,
      isPaced: route.rates !== undefined,
      now: () => host.now(),
      ...(messages && { messages }),
      ...(traffic && { traffic }),
    };
    made.set(route, options);
  }
  return isAnonymous ? { ...options, clientId: chosen ?? chosenId(host.random()) } : options;
}

/**
 * The client id that is used for a device that has none, and that never learns which one the node chose (rule 15).
 */
function chosenId(random: number): string {
  return `breakwater-${Math.floor(random * 2 ** 48).toString(36)}`;
}
