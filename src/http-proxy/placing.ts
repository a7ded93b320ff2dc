import type { IncomingMessage } from 'node:http';
import type { Recalled } from '../policy/cookie-affinity/cookie.ts';
import { valuesOf } from '../protocol/http/fields.ts';
import { claimsOrigin, deviceAddress, originFields } from '../protocol/http/forwarded.ts';
import { endToEnd } from '../protocol/http/hop-by-hop.ts';
import { type Request, readHead } from '../protocol/http/request-head.ts';
import type { HttpPeer } from './front.ts';
import type { HttpHost, HttpRefusal, HttpRoute } from './http-host.ts';

/** A request that may go on to a node. */
export interface Placed {
  readonly request: Request;
  readonly route: HttpRoute;
  readonly isSecure: boolean;
  /** The device's own address, where a proxy of ours has told it. */
  readonly sourceAddress: string;
  readonly recalled: Recalled | undefined;
  /** For the node: Host, end-to-end fields, and who asked; neither those of the body's framing nor of an upgrade. */
  readonly fields: readonly string[];
}

/** Reads the head, asks the rules, and makes the head that the node will see. */
export function place(incoming: IncomingMessage, peer: HttpPeer, context: HttpHost): Placed | HttpRefusal {
  const { method = '', url: target = '', httpVersion: version, rawHeaders: received } = incoming;
  const request = readHead({ method, target, version, fields: received });
  if ('status' in request) return request;
  const { address, tls } = peer;
  const isTrusted = context.isTrusted(address);
  const sourceAddress = isTrusted
    ? deviceAddress(received, address, (one) => context.isTrusted(one))
    : address;
  const { host, path, authority } = request;
  const route = context.route({
    sourceAddress,
    host,
    path,
    ...(tls && { sni: tls.serverName, clientCn: tls.clientCertificateCn }),
  });
  if ('status' in route) return route;
  const cookie = cookieOf(received);
  const recalled = route.cookies?.recall(cookie);
  const sent = recalled === undefined ? cookie : recalled.cookie;
  const proto = tls === undefined ? 'http' : 'https';
  const fields = [
    ...['Host', authority],
    ...endToEnd(received, isReplaced),
    ...(sent === undefined ? [] : ['Cookie', sent]),
    ...originFields(received, { peer: address, proto, host: authority, isTrusted }),
  ];
  return { request, route, isSecure: tls !== undefined, sourceAddress, recalled, fields };
}

/** Of the fields that come from the node, those for the device: its cookies are marked, or get ours beside them. */
export function answerFields(
  { route, recalled, isSecure }: Placed,
  received: readonly string[],
  nodeId: string,
): string[] {
  if (route.cookies === undefined || recalled === undefined) return endToEnd(received, () => false);
  const fields = endToEnd(received, (name) => name === 'set-cookie');
  const cookies = route.cookies.answer(recalled, nodeId, valuesOf(received, 'set-cookie'), isSecure);
  return [...fields, ...cookies.flatMap((cookie) => ['Set-Cookie', cookie])];
}

/** Fields that the node gets anew from us. */
function isReplaced(name: string): boolean {
  const isOurs = name === 'host' || name === 'cookie' || name === 'content-length' || name === 'expect';
  return isOurs || claimsOrigin(name);
}

function cookieOf(fields: readonly string[]): string | undefined {
  const all = valuesOf(fields, 'cookie');
  return all.length === 0 ? undefined : all.join('; ');
}
