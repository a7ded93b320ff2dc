import type { BreakwaterEvent } from '../admin/backend.ts';
import type { ThreadEvent } from '../data-plane/messages.ts';
import type { Log } from '../log.ts';

/** What connections mean for the health of their nodes. */
export interface PassiveHealth {
  dialFailed(nodeId: string, reason: string): void;
  dialSucceeded(nodeId: string): void;
  linkLost(nodeId: string, liveConnections: number): void;
}

export interface ConnectionEventsOptions {
  readonly log: Log;
  readonly emit: (event: BreakwaterEvent) => void;
  readonly health: PassiveHealth;
  readonly listenerUrl: (index: number) => string;
}

/** Turns what the data threads tell into log lines, server-sent events and passive health. */
export function createConnectionEvents({ log, emit, health, listenerUrl }: ConnectionEventsOptions) {
  function receive(event: ThreadEvent, at: string): void {
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
      case 'dial-failed': {
        const { type, node, failure, detail } = event;
        log.debug({ node, failure, detail }, 'dial failed');
        health.dialFailed(node, failure);
        return emit({ type, at, node, failure, detail });
      }
      case 'dialled':
        return health.dialSucceeded(event.node);
      case 'link-lost':
        return health.linkLost(event.node, event.live);
    }
  }

  return (events: readonly ThreadEvent[]): void => {
    const at = new Date().toISOString();
    for (const event of events) receive(event, at);
  };
}
