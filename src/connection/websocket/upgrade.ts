import { createHash } from 'node:crypto';
import { matchablePath } from '../../protocol/http/path.ts';
import type { Peer, PeerRequest } from '../wire.ts';
import { listHas, type RequestHead } from './request.ts';

/** What a listener asks of those who want to speak WebSocket. Structured-cloneable. */
export interface UpgradeTerms {
  /** As requests must have it, without a query; with `*` at its end, whatever begins so. */
  readonly path: string;
  /** Origins of the pages that may connect, in lower case. Absent: any. What is no browser sends none, and may connect. */
  readonly origins?: readonly string[] | undefined;
}

/** What a listener's pool adds to the answer, before the device has said who it is: persistence by cookie. */
export interface UpgradeAddition {
  /** Name and value of each. */
  readonly headers: readonly (readonly [string, string])[];
  /** Id of the node that the request asks for. */
  readonly preferredNode?: string | undefined;
}

/** Asked once for each device whose request is good; the peer has that already. `cookie` is its Cookie header. */
export type UpgradeHook = (peer: Peer, cookie: string | undefined) => UpgradeAddition;

export interface Refused {
  readonly kind: 'refused';
  readonly response: string;
}

/** A request that may be upgraded. */
export interface Upgrade {
  readonly kind: 'upgrade';
  readonly request: PeerRequest;
  readonly cookie: string | undefined;
  /** The 101. */
  response(addition: UpgradeAddition): string;
}

/** RFC 6455, 1.3: shows that the key was read by something that speaks WebSocket. */
const GUID = '258EAFA5-E914-47DA-95CA-C5AB0DC85B11';
/** MQTT 5.0, 6.0 [MQTT-6.0.0-3]; the other is what clients of MQTT 3.1 ask for. */
const SUBPROTOCOLS = ['mqtt', 'mqttv3.1'];
/** 16 bytes in base64. */
const KEY = /^[A-Za-z0-9+/]{21}[AQgw]==$/;
const HOST = /^(\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9._~!$&'()*+;=%-]+)(?::\d{1,5})?$/;

/** Looks at a request for the upgrade (RFC 6455, 4.2). */
export function checkUpgrade(head: RequestHead, terms: UpgradeTerms): Upgrade | Refused {
  const { method, target, fields } = head;
  const path = matchablePath(target);
  const host = HOST.exec(fields.get('host') ?? '')?.[1]?.toLowerCase();
  if (host === undefined) return refuse(400, 'The Host header must name one host.');
  if (!isPath(path, terms.path)) return refuse(404, 'There is nothing at this path.');
  if (method !== 'GET') return refuse(405, 'WebSocket begins with GET.', ['Allow: GET']);
  if (fields.has('transfer-encoding') || (fields.get('content-length') ?? '0') !== '0')
    return refuse(400, 'A request for an upgrade has no body.');
  if (!listHas(fields.get('upgrade'), 'websocket') || !listHas(fields.get('connection'), 'upgrade'))
    return refuse(426, 'This is MQTT over WebSocket.', ['Upgrade: websocket']);
  if (fields.get('sec-websocket-version') !== '13')
    return refuse(426, 'The version of WebSocket must be 13.', ['Sec-WebSocket-Version: 13']);
  const key = fields.get('sec-websocket-key') ?? '';
  if (!KEY.test(key)) return refuse(400, 'Sec-WebSocket-Key must be 16 bytes in base64.');
  const origin = fields.get('origin');
  if (!isWelcome(origin, terms.origins)) return refuse(403, 'Pages of this origin may not connect.');
  const offered = fields.get('sec-websocket-protocol')?.split(',') ?? [];
  const subprotocol = offered.map((each) => each.trim()).find((each) => SUBPROTOCOLS.includes(each));
  if (subprotocol === undefined) return refuse(400, "Sec-WebSocket-Protocol must offer 'mqtt'.");
  return {
    kind: 'upgrade',
    request: { path, host, origin },
    cookie: fields.get('cookie'),
    response: ({ headers }) => switching(key, subprotocol, headers),
  };
}

function switching(key: string, subprotocol: string, headers: UpgradeAddition['headers']): string {
  const lines = [
    'HTTP/1.1 101 Switching Protocols',
    ...['Upgrade: websocket', 'Connection: Upgrade'],
    `Sec-WebSocket-Accept: ${acceptOf(key)}`,
    `Sec-WebSocket-Protocol: ${subprotocol}`,
    ...headers.map(([name, value]) => `${name}: ${value}`),
  ];
  return message(lines, '');
}

function isPath(path: string, wanted: string): boolean {
  return wanted.endsWith('*') ? path.startsWith(wanted.slice(0, -1)) : path === wanted;
}

function isWelcome(origin: string | undefined, origins: readonly string[] | undefined): boolean {
  return origins === undefined || origin === undefined || origins.includes(origin.toLowerCase());
}

function acceptOf(key: string): string {
  return createHash('sha1')
    .update(key + GUID)
    .digest('base64');
}

const phrases = {
  400: 'Bad Request',
  403: 'Forbidden',
  404: 'Not Found',
  405: 'Method Not Allowed',
  426: 'Upgrade Required',
  431: 'Request Header Fields Too Large',
} as const;

/** An answer after which the connection is closed. */
export function refuse(status: keyof typeof phrases, why: string, headers: readonly string[] = []): Refused {
  const body = `${why}\n`;
  const lines = [
    `HTTP/1.1 ${status} ${phrases[status]}`,
    ...['Content-Type: text/plain; charset=utf-8', `Content-Length: ${body.length}`],
    `Connection: ${status === 426 ? 'Upgrade, close' : 'close'}`,
    ...headers,
  ];
  return { kind: 'refused', response: message(lines, body) };
}

function message(lines: readonly string[], body: string): string {
  return `${lines.join('\r\n')}\r\n\r\n${body}`;
}
