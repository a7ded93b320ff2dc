import type { UpgradeAddition } from '../connection/websocket/upgrade.ts';
import type { Peer } from '../connection/wire.ts';
import type { CookiePersistence } from '../policy/cookie-affinity/cookie.ts';

/** A pool, as far as a device can be placed that has not said who it is. */
export interface CookieRoute {
  /** Persistence by cookie; undefined: the pool has none. */
  readonly cookies: CookiePersistence | undefined;
  /** A node for a device: of those that are recalled the first that can take it, else as the strategy has it. */
  suggest(peer: Peer, recalled: readonly string[]): string | undefined;
}

/**
 * Persistence by cookie for devices that come by WebSocket. The cookie goes out with the 101, before CONNECT, so the
 * node is chosen then. Should it fail the device, or a rule send the device to another pool for its client id, then the
 * cookie is replaced when it comes the next time.
 */
export function upgradeCookies(
  { cookies, suggest }: CookieRoute,
  peer: Peer,
  cookie: string | undefined,
): UpgradeAddition {
  if (cookies === undefined) return { headers: [] };
  const recalled = cookies.recall(cookie);
  const node = suggest(peer, recalled.nodes);
  if (node === undefined) return { headers: [] };
  const answer = cookies.answer(recalled, node, [], peer.tls !== undefined);
  return { headers: answer.map((each) => ['Set-Cookie', each]), preferredNode: node };
}
