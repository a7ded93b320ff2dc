/** When a session may leave a node that serves it, because a person or the cluster wants it elsewhere. */

import type { Session } from '../session/index.ts';
import type { Attachment } from './attachment.ts';
import type { MoveAnswer } from './upstream-host.ts';

/** What is looked at. */
interface Served {
  readonly at: Pick<Attachment, 'permit' | 'isOver'>;
  readonly connection: { readonly isSuperseded: boolean };
  readonly owner: { readonly session: Session };
  readonly isMoving: boolean;
}

/** Why it does not leave its node now; undefined when it can. */
export function obstacle({ at, connection, owner, isMoving }: Served): MoveAnswer | undefined {
  const { session } = owner;
  if (at.isOver) return 'over';
  if (connection.isSuperseded) return 'superseded';
  if (session.stays !== undefined) return session.stays;
  const isBusy = isMoving || !isBetweenPackets(session) || session.quiescence.isTooEarly;
  return at.permit === undefined || isBusy ? 'later' : undefined;
}

/** Is no message in the middle, in either direction, that only this node could complete? */
export function isBetweenPackets({ immovable, midPublish }: Session): boolean {
  return immovable === undefined && !midPublish;
}
