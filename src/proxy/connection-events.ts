import type { BreakwaterEvent } from '../admin/backend.ts';
import type { Log } from '../base/log.ts';
import type { MigrationResult } from '../connection/connection-host.ts';
import { clientNumber } from '../data-plane/client-ids.ts';
import { shownId } from '../data-plane/shown-id.ts';
import type { WorkerEvent } from '../data-plane-api/messages.ts';
import type { NodeLosses } from '../health/node-losses.ts';
import type { DeviceHistory } from '../journal/device-history.ts';
import type { Claimant } from '../membership/claim.ts';
import type { LeftSession, OpenedSession } from '../membership/remembered-sessions.ts';
import type { ClientKey } from '../membership/store/store.ts';
import { DeviceLog } from './device-log.ts';
import { rememberEvent } from './history-entries.ts';
import type { Owners } from './owners.ts';

/** What connections mean for the health of their nodes. */
interface PassiveHealth {
  dialFailed(nodeId: string, reason: string): void;
  dialSucceeded(nodeId: string): void;
}

/** What is remembered of where devices are served. */
interface ClientMemory {
  recall(client: ClientKey): Promise<string | undefined>;
  claim(claimant: Claimant): Promise<void>;
  moved(client: ClientKey & Pick<Claimant, 'sinceMs' | 'node'>): Promise<void>;
  released(client: ClientKey): void;
}

/** What is remembered of persistent sessions between two connections. */
interface Sessions {
  opened(session: OpenedSession, thread: number): void;
  left(session: LeftSession): void;
}

interface ConnectionEventsOptions {
  readonly log: Log;
  readonly emit: (event: BreakwaterEvent) => void;
  readonly history: Pick<DeviceHistory, 'add'>;
  readonly health: PassiveHealth;
  readonly memory: ClientMemory;
  readonly sessions: Sessions;
  readonly recalled: (thread: number, request: number, node: string | undefined) => void;
  /** Runs it when what the other threads have sent by now is heard. */
  readonly afterOthers: (run: () => void) => void;
  readonly owners: Pick<Owners, 'owned' | 'disowned'>;
  /** What is known of who has taken links over. */
  readonly losses: Pick<NodeLosses, 'lost' | 'takenOver' | 'accepted'>;
  readonly reattached: (reattachment: MigrationResult, connackMs: number) => void;
  readonly requests: (listener: string, status: number, count: number) => void;
  readonly listenerUrl: (index: number) => string;
}

/** Hands each event of a worker to the part that it concerns: the log, the health of nodes, or what is remembered. */
export function createConnectionEvents(options: ConnectionEventsOptions) {
  const { health, memory, sessions, owners, losses, listenerUrl } = options;
  const log = new DeviceLog({ log: options.log, emit: tell, listenerUrl });

  /** An id is cut where it is longer than anybody reads, because events are kept. */
  function tell(event: BreakwaterEvent): void {
    const { clientId } = event;
    const shown = typeof clientId === 'string' ? { ...event, clientId: shownId(clientId) } : event;
    options.emit(shown);
    rememberEvent(options.history, shown);
  }

  function receive(event: WorkerEvent, thread: number, at: string): void {
    switch (event.type) {
      case 'placed':
        return log.placed(event, at);
      case 'ended':
        return log.ended(event, at);
      case 'rejected':
        return log.rejected(event, at);
      case 'header-refused':
        return log.headerRefused(event);
      case 'dial-failed':
        if (event.failure !== 'local') health.dialFailed(event.node, event.failure);
        return log.dialFailed(event, at);
      case 'accept-paused':
        return log.shortage(event.reason, 1 + event.more);
      case 'requests':
        return options.requests(listenerUrl(event.listener), event.status, event.count);
      case 'requested':
        return log.requested(event);
      case 'dialled':
        return health.dialSucceeded(event.node);
      case 'link-lost':
        return losses.lost(event);
      case 'taken-over':
        for (const client of event.clients) losses.takenOver(client);
        return;
      case 'recall':
        return options.afterOthers(
          () => void memory.recall(event).then((node) => options.recalled(thread, event.request, node)),
        );
      case 'claimed':
        return void memory.claim({ ...event, thread });
      case 'session-opened':
        return sessions.opened(event, thread);
      case 'session-left':
        return sessions.left(event);
      case 'claim-moved':
        return void memory.moved(event);
      case 'owned':
        losses.accepted(clientNumber(event.pool, event.clientId));
        return owners.owned(thread, event);
      case 'disowned':
        return owners.disowned(thread, event.pool, event.clientId);
      case 'reattached':
        options.reattached(event.reattachment, event.connackMs);
        return log.reattached(event, at);
      case 'convicted':
        return log.convicted(event);
      case 'released':
        return memory.released(event);
    }
  }

  return (events: readonly WorkerEvent[], thread: number): void => {
    const at = new Date().toISOString();
    for (const event of events) receive(event, thread, at);
  };
}
