/** Addresses as people write them: `mqtt://host:port`. */

export interface Address {
  readonly scheme: string;
  /** IPv4 or IPv6 literal without brackets, or a name. */
  readonly host: string;
  readonly port: number;
  /** Of WebSocket: where devices ask for it; may end with `*`. */
  readonly path?: string;
}

type Ports = Readonly<Record<string, number>>;

/**
 * An address without a port has the one of its scheme: IANA's, and for WebSocket, which has none of its own beside HTTP's,
 * those of EMQX.
 */
const defaultPorts: Ports = {
  ...{ mqtt: 1883, mqtts: 8883, ws: 8083, wss: 8084 },
  ...{ http: 80, https: 443 },
};
const adminPorts: Ports = { http: 9883, https: 9883 };
/** Where clients look for MQTT by custom: EMQX, Mosquitto's documentation, AWS. */
const DEFAULT_PATH = '/mqtt';

/**
 * Reads `scheme://host[:port]`; IPv6 stands in brackets. A trailing `/` is allowed; `ws` and `wss` have a path.
 * @throws Error whose message completes the sentence "the address …"
 */
export function parseAddress(text: string, ports: Ports = defaultPorts): Address {
  const match = ADDRESS.exec(text);
  const [, scheme, rawHost, rawPort, path] = match ?? [];
  if (scheme === undefined || rawHost === undefined) {
    throw new Error(`must look like mqtt://host:port, not '${withoutSecrets(text)}'`);
  }
  const host = rawHost.replace(/^\[|\]$/g, '');
  if (!isHost(host, rawHost.startsWith('['))) throw new Error(`has no valid host: '${host}'`);
  const port = rawPort === undefined ? portOf(scheme, ports) : Number(rawPort);
  if (port === undefined) throw new Error(`needs a port: '${text}'`);
  if (port > 65_535) throw new Error(`has a port above 65535: ${port}`);
  if (scheme === 'ws' || scheme === 'wss') return { scheme, host, port, path: wantedPath(path) };
  if (path !== undefined && path !== '/') throw new Error(`must have no path: '${withoutSecrets(text)}'`);
  return { scheme, host, port };
}

function portOf(scheme: string, ports: Ports): number | undefined {
  return Object.hasOwn(ports, scheme) ? ports[scheme] : undefined;
}

const ADDRESS =
  /^([a-z][a-z0-9+.-]*):\/\/(\[[0-9a-fA-F:.]+\]|[A-Za-z0-9._-]+)(?::(\d{1,5}))?(\/[A-Za-z0-9\-._~!$&'()*+,;=:@%/]*)?$/;

function wantedPath(path: string | undefined): string {
  if (path?.slice(0, -1).includes('*'))
    throw new Error(`may have a '*' only at the end of its path: '${path}'`);
  return path ?? DEFAULT_PATH;
}

/** Where the admin API is: it has a port of its own. @throws Error as `parseAddress` */
export function parseAdminAddress(text: string): Address {
  return parseAddress(text, adminPorts);
}

/** The same address in its full form: the port is always there. @throws Error as `parseAddress` */
export function fullUrl(text: string): string {
  return formatUrl(parseAddress(text));
}

export function formatUrl({ scheme, host, port, path = '' }: Address): string {
  return `${scheme}://${formatAuthority(host, port)}${path}`;
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
