import { type RawFields, valuesOf } from './fields.ts';
import { connectionOptions } from './hop-by-hop.ts';
import type { Refusal, Request } from './request-head.ts';

/**
 * Does it ask for WebSocket? Any other protocol, such as h2c, is no concern of ours, and the request is answered as if it
 * had not been asked for (RFC 9110, 7.8): what followed would be requests that nobody here has read.
 */
export function asksForWebSocket(fields: RawFields): boolean {
  const protocols = valuesOf(fields, 'upgrade');
  return protocols.length === 1 && protocols[0]?.toLowerCase() === 'websocket';
}

/** May a request that asks for WebSocket have it? With a body it would not be clear where the frames begin. */
export function upgradeRefusal(request: Request): Refusal | undefined {
  if (request.method !== 'GET') return { status: 400, detail: 'an upgrade to websocket is a GET' };
  if (request.isChunked || request.contentLength !== 0) {
    return { status: 400, detail: 'an upgrade has no body' };
  }
  return undefined;
}

/** Did the node change to WebSocket, as it was asked? */
export function isUpgraded(fields: RawFields): boolean {
  const [protocol, ...more] = valuesOf(fields, 'upgrade');
  return (
    more.length === 0 &&
    protocol?.toLowerCase() === 'websocket' &&
    connectionOptions(fields).includes('upgrade')
  );
}
