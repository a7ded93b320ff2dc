/** Has what a served device sends and receives counted at its listener and node. */

import type { Connection } from '../connection/connection.ts';
import type { OpaqueConnection } from '../connection/opaque.ts';
import { trafficPlace } from '../data-plane-api/traffic.ts';

/** To be called when a node begins to serve it, and again when another one does. Between two it is counted at the first. */
export function countTraffic(listener: number, connection: Connection | OpaqueConnection): void {
  const target = connection.target ?? connection.session?.lastTarget;
  if (target === undefined) return;
  const place = trafficPlace(listener, target.slot);
  connection.wire.countAt(place);
  connection.session?.session.countAt(place);
}
