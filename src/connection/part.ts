import type { UpstreamHost } from './upstream-host.ts';
import type { Link, Wire } from './wire.ts';

/**
 * How the link to a node is ended. `reset`: as if the device had vanished, so that its Will fires. `goodbye`: with
 * a DISCONNECT of ours, so that the Will does not fire. `flush`: after everything that the device has sent.
 */
export type CloseMode = 'reset' | 'goodbye' | 'flush';

/** Ends a link to a node. */
export function part(
  wire: Wire,
  { session }: Pick<UpstreamHost, 'session'>,
  link: Link,
  closeMode: CloseMode,
  endsSession = false,
): void {
  // Nothing of ours may come into the middle of a packet.
  const how = closeMode === 'goodbye' && session.midPublish ? 'reset' : closeMode;
  if (how === 'goodbye') {
    const packet = session.goodbye(endsSession);
    wire.toNode(link, packet, 0, packet.length);
  }
  wire.endNode(link, how === 'reset' ? 'reset' : 'flush');
}
