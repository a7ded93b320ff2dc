import type { NodePermit } from './node-permit.ts';
import type { UpstreamHost } from './upstream-host.ts';
import type { Link, Wire } from './wire.ts';

/**
 * How the link to a node is ended. `reset`: as if the device had vanished, so that its Will fires. `goodbye`: with
 * a DISCONNECT of ours, so that the Will does not fire. `flush`: after everything that the device has sent.
 */
export type CloseMode = 'reset' | 'goodbye' | 'flush';

/**
 * Ends a link to a node, and gives back its place there. A node that is told goodbye may not have read that yet, so it has the
 * connection until it has closed the link: one that is drained is not empty before. `isHung`: it may not read for long, and
 * what was left there is no link of ours any more.
 */
export function part(
  wire: Wire,
  { session }: Pick<UpstreamHost, 'session'>,
  link: Link,
  closeMode: CloseMode,
  { permit, endsSession = false, isHung = false }: PartOptions = {},
): void {
  // Nothing of ours may come into the middle of a packet.
  const how = closeMode === 'goodbye' && session.midPublish ? 'reset' : closeMode;
  if (how === 'goodbye') {
    const packet = session.goodbye(endsSession);
    wire.toNode(link, packet, 0, packet.length);
  }
  const isCounted = how === 'goodbye' && !isHung;
  wire.endNode(link, how === 'reset' ? 'reset' : 'flush', isCounted ? () => permit?.release() : undefined);
  if (!isCounted) permit?.release();
}

export interface PartOptions {
  /** Of the connection at this node. */
  readonly permit?: NodePermit | undefined;
  /** Its session is to end with the link. */
  readonly endsSession?: boolean;
  readonly isHung?: boolean | undefined;
}
