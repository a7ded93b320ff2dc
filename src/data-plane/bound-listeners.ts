import type { ListenerSettings } from '../data-plane-api/messages.ts';
import type { TlsOptions } from '../engine/tls.ts';

/** How listeners that are bound change: threads that start again bind them so. */

type Listeners = readonly ListenerSettings[];

/** With these settings, where there are any; each keeps its port. */
export function withSettings(bound: Listeners, settings: Listeners): Listeners {
  return bound.map((each) => {
    const next = settings.find(({ index }) => index === each.index);
    return next === undefined ? each : { ...next, port: each.port };
  });
}

/** The listener of that index has these options of TLS. */
export function withTls(bound: Listeners, index: number, tls: TlsOptions | undefined): Listeners {
  return bound.map((each) => (each.index === index ? { ...each, tls } : each));
}
