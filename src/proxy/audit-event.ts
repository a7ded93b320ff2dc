/** What the events tell of changes by the admin API. */

import type { AuditRecord } from '../admin/journal-views.ts';
import { shownId } from '../data-plane/shown-id.ts';
import type { BreakwaterEvent } from '../journal/event.ts';

/** Those that were not allowed are of a kind of their own: there may be very many, which hide no others. */
export function auditEvent({ client, isDenied, ...record }: AuditRecord, at: string): BreakwaterEvent {
  const type = isDenied ? 'admin-denied' : 'admin';
  return { type, at, ...record, ...(client !== undefined && { clientId: shownId(client) }) };
}
