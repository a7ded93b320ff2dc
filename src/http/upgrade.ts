import { type RawFields, valuesOf } from './fields.ts';
import { connectionOptions } from './hop-by-hop.ts';
import type { Refusal, Request } from './request-head.ts';

/**
 * May this request change protocols? Only to WebSocket: to others, such as h2c, the bytes that follow would be requests
 * that nobody here has read. With a body it would not be clear where they begin.
 */
export function upgradeRefusal(request: Request, fields: RawFields): Refusal | undefined {
  const protocols = valuesOf(fields, 'upgrade');
  const isWebSocket = protocols.length === 1 && protocols[0]?.toLowerCase() === 'websocket';
  if (!isWebSocket) return { status: 501, detail: 'only upgrades to websocket' };
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
