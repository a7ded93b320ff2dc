import type { BreakwaterEvent } from '../admin/backend.ts';
import type { Log } from '../base/log.ts';
import { systemClock } from '../base/time.ts';
import type { MigrationResult } from '../connection/connection-host.ts';
import type { WorkerEvent } from '../data-plane-api/messages.ts';
import type { LinksLost } from '../health/node-losses.ts';
import type { Claimant } from '../membership/claims.ts';
import type { LeftSession, OpenedSession } from '../membership/session-memory.ts';
import type { ClientKey } from '../membership/store/store.ts';
import { createLogThrottle } from '../policy/admission/log-throttle.ts';
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
  moved(client: ClientKey, node: string): Promise<void>;
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
  readonly health: PassiveHealth;
  readonly memory: ClientMemory;
  readonly sessions: Sessions;
  readonly recalled: (thread: number, request: number, node: string | undefined) => void;
  readonly owners: Pick<Owners, 'owned' | 'disowned'>;
  readonly linkExplained: (node: string, device: number) => void;
  readonly linksLost: (links: LinksLost) => void;
  readonly reattached: (reattachment: MigrationResult) => void;
  readonly requests: (listener: string, status: number, count: number) => void;
  readonly listenerUrl: (index: number) => string;
}

/** Turns what the data threads tell into log lines, server-sent events and passive health. */
export function createConnectionEvents(options: ConnectionEventsOptions) {
  const { log, emit, health, memory, listenerUrl } = options;
  const refusalThrottle = createLogThrottle(systemClock);
  const shortageThrottle = createLogThrottle(systemClock);

  function tellShortage(cause: string, count: number): void {
    const more = shortageThrottle(cause, count);
    if (more !== undefined) log.error({ cause, more }, 'out of descriptors, ports or memory');
  }

  function receive(event: WorkerEvent, thread: number, at: string): void {
    switch (event.type) {
      case 'placed': {
        const { type, listener, ...rest } = event;
        const fields = { ...rest, listener: listenerUrl(listener) };
        log.info(fields, 'device placed');
        return emit({ type, at, ...fields });
      }
      case 'ended': {
        const { type, listener, durationMs, ...rest } = event;
        const fields = { ...rest, listener: listenerUrl(listener), duration: Math.round(durationMs) / 1000 };
        log.info(fields, 'device ended');
        return emit({ type, at, ...fields });
      }
      case 'rejected': {
        const { type, listener, ...rest } = event;
        const fields = { ...rest, listener: listenerUrl(listener) };
        log.info(fields, 'device rejected');
        return emit({ type, at, ...fields });
      }
      case 'header-refused': {
        const { listener, refusal, remoteAddress } = event;
        const more = refusalThrottle(`${listener} ${refusal}`, 1 + event.more); // each thread has told its own
        if (more === undefined) return;
        const fields = { listener: listenerUrl(listener), remoteAddress, reason: `proxy-${refusal}`, more };
        return log.warn(fields, 'PROXY protocol header refused');
      }
      case 'dial-failed': {
        const { type, node, failure, detail } = event;
        log.debug({ node, failure, detail }, 'dial failed');
        if (failure === 'local') tellShortage(detail, 1);
        else health.dialFailed(node, failure);
        return emit({ type, at, node, failure, detail });
      }
      case 'accept-paused':
        return tellShortage(event.reason, 1 + event.more);
      case 'requests':
        return options.requests(listenerUrl(event.listener), event.status, event.count);
      case 'requested': {
        const { type: _type, listener, durationMs, ...rest } = event;
        const fields = { ...rest, listener: listenerUrl(listener), duration: Math.round(durationMs) / 1000 };
        return log.debug(fields, 'request answered');
      }
      case 'dialled':
        return health.dialSucceeded(event.node);
      case 'link-lost':
        return options.linksLost(event);
      case 'link-explained':
        return options.linkExplained(event.node, event.device);
      case 'recall':
        return void memory.recall(event).then((node) => options.recalled(thread, event.request, node));
      case 'claimed':
        return void memory.claim({ ...event, thread });
      case 'session-opened':
        return options.sessions.opened(event, thread);
      case 'session-left':
        return options.sessions.left(event);
      case 'claim-moved':
        return void memory.moved(event, event.node);
      case 'owned':
        return options.owners.owned(thread, event);
      case 'disowned':
        return options.owners.disowned(thread, event.pool, event.clientId);
      case 'reattached': {
        const { clientId, remoteAddress, reattachment } = event;
        const { cause, evidence, from, to, durationMs, sessionPresent } = reattachment;
        const result = to === undefined ? 'failed' : 'ok';
        const duration = Math.round(durationMs) / 1000;
        const what = { cause, evidence, from, to, result, duration, sessionPresent };
        const fields = { clientId, remoteAddress, ...what };
        options.reattached(reattachment);
        if (to === undefined) log.warn(fields, 'session not moved');
        else log.info(fields, 'session moved');
        return emit({ type: event.type, at, ...fields });
      }
      case 'convicted': {
        const { clientId, remoteAddress, suspect } = event;
        return log.error({ clientId, remoteAddress, ...suspect }, 'two nodes died of a packet: device ended');
      }
      case 'released':
        return memory.released(event);
    }
  }

  return (events: readonly WorkerEvent[], thread: number): void => {
    const at = new Date().toISOString();
    for (const event of events) receive(event, thread, at);
  };
}
