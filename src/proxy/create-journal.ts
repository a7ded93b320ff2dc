import { randomBytes } from 'node:crypto';
import type { CurrentConfig } from '../config/current.ts';
import { DeviceHistory } from '../journal/device-history.ts';
import type { IncidentKind } from '../journal/incident.ts';
import { Incidents } from '../journal/incidents.ts';
import { Journal } from '../journal/journal.ts';
import { createEventBus } from './event-bus.ts';

/** Where everything that happens in this proxy is kept, and told. @param isTakenOver events wait until `events.release` */
export function createJournal(
  current: CurrentConfig,
  countIncident: (kind: IncidentKind) => void,
  isTakenOver: boolean,
) {
  const clock = { now: Date.now };
  const journal = new Journal(`${Date.now().toString(36)}${randomBytes(4).toString('hex')}`, clock);
  const incidents = new Incidents(clock, (kind, subject) => {
    countIncident(kind);
    const at = new Date().toISOString();
    events.emit({ type: 'incident', at, kind, ...(subject !== '' && { subject }) });
  });
  const events = createEventBus(journal, incidents);
  if (isTakenOver) events.hold();
  const history = new DeviceHistory(() => current.config.limits.history);
  return { journal, incidents, history, events };
}
