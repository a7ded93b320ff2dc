import { type RawFields, valuesOf } from './fields.ts';

/** The fields that show a node who asked: X-Forwarded-For, -Proto and -Host, and Forwarded (RFC 7239). */

export interface Origin {
  /** IP literal of the other end of the connection. */
  readonly peer: string;
  readonly proto: 'http' | 'https';
  /** The Host that was asked for, with its port; '' if there is none. */
  readonly host: string;
  /** The peer is a proxy of ours: what it says is believed, and goes on. */
  readonly isTrusted: boolean;
}

/**
 * Fields that nodes believe, and which nobody but a trusted proxy may set. With `_` too: CGI and its kin take both for
 * the same name.
 * @param name in lower case
 */
export function claimsOrigin(name: string): boolean {
  const first = name.charCodeAt(0);
  if (first === 0x66) return name === 'forwarded';
  return first === 0x78 && /^x[-_](forwarded([-_]|$)|real[-_]ip$)/.test(name);
}

/** The fields for the node. Those of the request (`claimsOrigin`) are to be dropped: what is believed is in here. */
export function originFields(fields: RawFields, origin: Origin): string[] {
  const { peer, proto, host, isTrusted } = origin;
  const before = (name: string): string[] => (isTrusted ? valuesOf(fields, name) : []);
  const told = (name: string, ours: string): string => before(name)[0] ?? ours;
  const added = (name: string, ours: string): string => [...before(name), ours].join(', ');
  const asked = told('x-forwarded-host', host);
  return [
    ...['X-Forwarded-For', added('x-forwarded-for', peer)],
    ...['X-Forwarded-Proto', told('x-forwarded-proto', proto)],
    ...(asked === '' ? [] : ['X-Forwarded-Host', asked]),
    ...['Forwarded', added('forwarded', forwardedElement(peer, proto, host))],
  ];
}

/** The address of the device: of the addresses in the fields, the last one that is not a proxy of ours. */
export function deviceAddress(
  fields: RawFields,
  peer: string,
  isTrusted: (address: string) => boolean,
): string {
  if (!isTrusted(peer)) return peer;
  const told = valuesOf(fields, 'x-forwarded-for').flatMap((value) => value.split(','));
  const addresses = told.map((address) => address.trim()).filter((address) => isAddress(address));
  return addresses.findLast((address) => !isTrusted(address)) ?? addresses[0] ?? peer;
}

function forwardedElement(peer: string, proto: string, host: string): string {
  const node = peer.includes(':') ? `"[${peer}]"` : peer; // an IPv6 address stands in brackets and quotes (RFC 7239, 6.1)
  return `for=${node};proto=${proto}${host === '' ? '' : `;host=${quoted(host)}`}`;
}

function quoted(value: string): string {
  return /^[!#$%&'*+\-.^_`|~0-9A-Za-z]+$/.test(value) ? value : `"${value.replace(/["\\]/g, '\\$&')}"`;
}

/** Good enough to be asked of a network list, which knows what an address is. */
function isAddress(text: string): boolean {
  return /^[0-9A-Fa-f:.]{2,45}$/.test(text);
}
