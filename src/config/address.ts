/** Addresses as people write them: `mqtt://host:port`. */

export interface Address {
  readonly scheme: string;
  /** IPv4 or IPv6 literal without brackets, or a name. */
  readonly host: string;
  readonly port: number;
}

type Ports = Readonly<Record<string, number>>;

/** IANA's ports for each scheme; an address without a port has this one. */
const defaultPorts: Ports = { mqtt: 1883, mqtts: 8883, http: 80, https: 443 };
const adminPorts: Ports = { http: 9883 };

/**
 * Reads `scheme://host[:port]`; IPv6 stands in brackets. A trailing `/` is allowed, a longer path is not.
 * @throws Error whose message completes the sentence "the address …"
 */
export function parseAddress(text: string, ports: Ports = defaultPorts): Address {
  const match = /^([a-z][a-z0-9+.-]*):\/\/(\[[0-9a-fA-F:.]+\]|[A-Za-z0-9._-]+)(?::(\d{1,5}))?\/?$/.exec(text);
  const [, scheme, rawHost, rawPort] = match ?? [];
  if (scheme === undefined || rawHost === undefined) {
    throw new Error(`must look like mqtt://host:port, not '${withoutSecrets(text)}'`);
  }
  const host = rawHost.replace(/^\[|\]$/g, '');
  if (!isHost(host, rawHost.startsWith('['))) throw new Error(`has no valid host: '${host}'`);
  const port = rawPort === undefined ? ports[scheme] : Number(rawPort);
  if (port === undefined) throw new Error(`needs a port: '${text}'`);
  if (port > 65_535) throw new Error(`has a port above 65535: ${port}`);
  return { scheme, host, port };
}

/** Where the admin API is: it has a port of its own. @throws Error as `parseAddress` */
export function parseAdminAddress(text: string): Address {
  return parseAddress(text, adminPorts);
}

/** The same address in its full form: the port is always there. @throws Error as `parseAddress` */
export function fullUrl(text: string): string {
  return formatUrl(parseAddress(text));
}

export function formatUrl({ scheme, host, port }: Address): string {
  return `${scheme}://${formatAuthority(host, port)}`;
}

/** `host:port`, with brackets around IPv6. */
export function formatAuthority(host: string, port: number): string {
  return host.includes(':') ? `[${host}]:${port}` : `${host}:${port}`;
}

/** Is this host reached from this machine only? Names other than `localhost` are not trusted to be. */
export function isLoopback(host: string): boolean {
  return host === 'localhost' || host === '::1' || /^127\.\d+\.\d+\.\d+$/.test(host);
}

function isHost(host: string, bracketed: boolean): boolean {
  if (bracketed) return URL.canParse(`http://[${host}]`);
  if (/^[\d.]+$/.test(host)) return isIpv4(host);
  return host.length <= 253 && host.split('.').every((label) => label.length >= 1 && label.length <= 63);
}

function isIpv4(host: string): boolean {
  const parts = host.split('.');
  return parts.length === 4 && parts.every((part) => /^(0|[1-9]\d{0,2})$/.test(part) && Number(part) <= 255);
}

/** A URL may carry a password by mistake; it must not reach a message. */
export function withoutSecrets(text: string): string {
  return text.replace(/\/\/[^/]*@/, '//***@');
}
