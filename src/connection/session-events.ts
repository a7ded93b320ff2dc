/** What follows from what a session tells. */

import { reasonCode } from '../protocol/mqtt/reason-codes.ts';
import type { SessionEvent } from '../session/index.ts';
import { reasonOf } from './close-reasons.ts';
import type { EndReason, PoolRoute } from './connection-host.ts';
import type { Deaths } from './deaths.ts';
import type { ForwarderHost } from './forwarder.ts';
import type { SessionUpstream } from './session-upstream.ts';
import type { EndCause, Link } from './wire.ts';

/** Whose session it is. */
export interface EventHandler {
  readonly connection: ForwarderHost;
  readonly route: PoolRoute;
  readonly upstream: SessionUpstream;
  readonly deaths: Deaths | undefined;
  needDeaths(): Deaths;
  linkEnded(link: Link, cause: EndCause): void;
  /** The device's DISCONNECT is on its way to the node. */
  left(): void;
  /** It waits for the next node. */
  waitToLeave(): void;
  /** @param said the node's DISCONNECT, which is passed on */
  end(reason: EndReason, said?: Uint8Array): void;
}

export function handleEvent(of: EventHandler, event: SessionEvent): void {
  const { upstream, connection } = of;
  switch (event.kind) {
    case 'accepted':
      upstream.accepted();
      return connection.placed(true);
    case 'refused':
      return upstream.refused(event.code, event.packet);
    case 'resumed':
      return upstream.resumed(event.sessionPresent, event.leftBehind);
    case 'suspected':
      upstream.awaitsTrial();
      return of.needDeaths().suspected(upstream.target, of.route);
    case 'acquitted':
      return of.deaths?.over();
    case 'quiescent':
      return upstream.quiescent();
    case 'node-leaving':
      if (staysAlone(of, event.code) || isInVain(of)) return of.end('node-closed', event.packet);
      return upstream.nodeLeaves(event.code, event.serverReference);
    case 'node-fault':
      return of.linkEnded(upstream.link, 'error');
    case 'taken-over':
      return upstream.hung?.follows() ? undefined : of.end('taken-over', event.packet);
    case 'node-ended':
      connection.because('node-closed');
      return connection.close('flush');
    case 'device-left':
      return event.forwarded ? of.left() : of.waitToLeave();
    case 'end':
      if (event.why !== 'asked') connection.because(reasonOf[event.why]);
      return event.drops ? upstream.drop(event.code) : connection.close('flush');
  }
}

/** One node after the other has served it only to say so. */
function isInVain({ upstream }: EventHandler): boolean {
  return upstream.at.permit !== undefined && (upstream.moves?.isInVain ?? false);
}

/**
 * The node that serves sends the device to another server, and the pool has none: the device is told. From one that stops it is
 * kept, because that may be back in a moment.
 */
function staysAlone({ route, upstream }: EventHandler, code: number): boolean {
  const { target, isMoving } = upstream;
  if (code === reasonCode.serverShuttingDown || target === undefined || isMoving) return false;
  return !route.hasOther([target.nodeId]);
}
