/** How what happens to devices reads in the log and in the event stream. */

import type { BreakwaterEvent } from '../admin/backend.ts';
import type { Log } from '../base/log.ts';
import { systemClock } from '../base/time.ts';
import type { WorkerEvent } from '../data-plane-api/messages.ts';
import { createLogThrottle } from '../policy/admission/log-throttle.ts';

type EventOf<Type extends WorkerEvent['type']> = Extract<WorkerEvent, { readonly type: Type }>;

interface DeviceLogOptions {
  readonly log: Log;
  readonly emit: (event: BreakwaterEvent) => void;
  readonly listenerUrl: (index: number) => string;
}

/**
 * Writes what happened to devices where people read it: a log line, and for most events a server-sent event as well.
 * Numbers of listeners become their URLs, and milliseconds become seconds. It decides nothing.
 */
export class DeviceLog {
  private readonly log: Log;
  private readonly emit: (event: BreakwaterEvent) => void;
  private readonly listenerUrl: (index: number) => string;
  private readonly refusalThrottle = createLogThrottle(systemClock);
  private readonly shortageThrottle = createLogThrottle(systemClock);

  constructor({ log, emit, listenerUrl }: DeviceLogOptions) {
    this.log = log;
    this.emit = emit;
    this.listenerUrl = listenerUrl;
  }

  placed({ type, listener, ...rest }: EventOf<'placed'>, at: string): void {
    const fields = { ...rest, listener: this.listenerUrl(listener) };
    this.log.info(fields, 'device placed');
    this.emit({ type, at, ...fields });
  }

  ended({ type, listener, durationMs, ...rest }: EventOf<'ended'>, at: string): void {
    const fields = { ...rest, listener: this.listenerUrl(listener), duration: secondsOf(durationMs) };
    this.log.info(fields, 'device ended');
    this.emit({ type, at, ...fields });
  }

  rejected({ type, listener, ...rest }: EventOf<'rejected'>, at: string): void {
    const fields = { ...rest, listener: this.listenerUrl(listener) };
    this.log.info(fields, 'device rejected');
    this.emit({ type, at, ...fields });
  }

  headerRefused({ listener, refusal, remoteAddress, more: moreOfWorker }: EventOf<'header-refused'>): void {
    const more = this.refusalThrottle(`${listener} ${refusal}`, 1 + moreOfWorker);
    if (more === undefined) return;
    const fields = { listener: this.listenerUrl(listener), remoteAddress, reason: `proxy-${refusal}`, more };
    this.log.warn(fields, 'PROXY protocol header refused');
  }

  dialFailed({ type, node, failure, detail }: EventOf<'dial-failed'>, at: string): void {
    this.log.debug({ node, failure, detail }, 'dial failed');
    if (failure === 'local') this.shortage(detail, 1);
    this.emit({ type, at, node, failure, detail });
  }

  /** The machine has not enough descriptors, ports or memory. */
  shortage(cause: string, count: number): void {
    const more = this.shortageThrottle(cause, count);
    if (more !== undefined) this.log.error({ cause, more }, 'out of descriptors, ports or memory');
  }

  requested({ type: _, listener, durationMs, ...rest }: EventOf<'requested'>): void {
    const fields = { ...rest, listener: this.listenerUrl(listener), duration: secondsOf(durationMs) };
    this.log.debug(fields, 'request answered');
  }

  reattached(
    { type, clientId, connection, remoteAddress, reattachment }: EventOf<'reattached'>,
    at: string,
  ): void {
    const { cause, evidence, from, to, durationMs, sessionPresent } = reattachment;
    const result = to === undefined ? 'failed' : 'ok';
    const what = { cause, evidence, from, to, result, duration: secondsOf(durationMs), sessionPresent };
    const fields = { clientId, connection, remoteAddress, ...what };
    if (to === undefined) this.log.warn(fields, 'session not moved');
    else this.log.info(fields, 'session moved');
    this.emit({ type, at, ...fields });
  }

  convicted({ clientId, remoteAddress, suspect }: EventOf<'convicted'>): void {
    this.log.error({ clientId, remoteAddress, ...suspect }, 'two nodes died of a packet: device ended');
  }
}

function secondsOf(ms: number): number {
  return Math.round(ms) / 1000;
}
