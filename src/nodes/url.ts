import { BreakwaterError } from '../base/errors.ts';

/** Where a node, or its probe, is reached. The host is a name in lower case or an IP literal without brackets. */
export interface Endpoint {
  readonly host: string;
  /** 1 to 65535. */
  readonly port: number;
}

interface ProbeEndpoint extends Endpoint {
  /** With its query; `/` where the URL has none. */
  readonly path: string;
}

/** Undefined: there is none, the URL must say it. */
type Ports = Readonly<Record<string, number | undefined>>;
const NODE_PORTS: Ports = { mqtt: 1883, mqtts: 8883, http: 80, https: 443, tcp: undefined };
const PROBE_PORTS: Ports = { http: 80, https: 443, mqtt: 1883, mqtts: 8883, tcp: 1883 };
const SHAPE = /^([a-z]+):\/\/(\[[^\]/]*\]|[^:/?#[\]]*)(?::([^/?#]*))?([/?][^#\s]*)?$/i;

/**
 * Reads `mqtt://host[:port]`, `mqtts://…`, `http://…`, `https://…` or `tcp://host:port`; the default ports are 1883, 8883, 80 and 443.
 * @throws BreakwaterError NODE_INVALID
 */
export function parseNodeUrl(text: string): Endpoint {
  const fail = failure('node URL', text, 'mqtt://10.0.0.1:1883');
  const { host, port, path } = parse(text, NODE_PORTS, fail);
  if (path !== '/') throw fail('a node has no path');
  return { host, port };
}

/**
 * Reads a probe's own URL: `http://host[:port]/path`, `tcp://host:port` or `mqtt://host:port`; `https` and `mqtts` are by TLS.
 * @throws BreakwaterError NODE_INVALID
 */
export function parseProbeUrl(text: string): ProbeEndpoint {
  return parse(text, PROBE_PORTS, failure('probe URL', text, 'http://10.0.0.1:18083/status'));
}

/** What is spoken at a URL of a node or a listener; the nodes of one pool speak one of these. TCP is anything. */
export function protocolOf(url: string): 'HTTP' | 'TCP' | 'MQTT' {
  if (/^https?:/i.test(url)) return 'HTTP';
  return /^tcp:/i.test(url) ? 'TCP' : 'MQTT';
}

/** Is the node a broker, for all that its URL says? */
export function speaksMqtt(url: string): boolean {
  return protocolOf(url) === 'MQTT';
}

/** Whether a node, or its probe, is reached by TLS. */
export function isSecure(url: string): boolean {
  return /^(mqtts|https):/i.test(url);
}

/** `host:port`, IPv6 without brackets: it reads well, and is a valid id. */
export function defaultNodeId({ host, port }: Endpoint): string {
  return `${host}:${port}`;
}

type Fail = (problem: string) => BreakwaterError;

/** The URL is quoted, unless it may hold a password. */
function failure(what: string, text: string, example: string): Fail {
  const shown = text.includes('@') ? '' : ` ${JSON.stringify(text.slice(0, 100))}`;
  return (problem) =>
    new BreakwaterError('NODE_INVALID', `${what}${shown}: ${problem}; for example ${example}`);
}

function parse(text: string, ports: Ports, fail: Fail): ProbeEndpoint {
  if (text.includes('@')) throw fail('credentials do not belong here, devices bring their own');
  const [, scheme = '', host = '', port, path = '/'] = SHAPE.exec(text) ?? [];
  const schemes = Object.keys(ports).map((known) => `${known}://`);
  if (scheme === '') throw fail(`is not ${schemes.join(', ')} followed by host:port`);
  if (!Object.hasOwn(ports, scheme.toLowerCase()))
    throw fail(`unknown scheme ${scheme}://, expected ${schemes.join(', ')}`);
  if (port?.includes(':')) throw fail('an IPv6 address stands in brackets, [::1]:1883');
  return { host: parseHost(host, fail), port: parsePort(port, ports[scheme.toLowerCase()], fail), path };
}

function parseHost(host: string, fail: Fail): string {
  if (host === '') throw fail('the host is missing');
  if (host.startsWith('[')) {
    if (!URL.canParse(`http://${host}`)) throw fail(`${host} is not an IPv6 address`);
    return new URL(`http://${host}`).hostname.slice(1, -1);
  }
  if (/^[\d.]+$/.test(host)) {
    const octets = host.split('.');
    if (octets.length !== 4 || !octets.every((octet) => /^\d{1,3}$/.test(octet) && Number(octet) <= 255)) {
      throw fail(`${host} is not an IPv4 address`);
    }
    return octets.map(Number).join('.');
  }
  if (host.length > 253 || !/^[a-z0-9_]([a-z0-9_.-]*[a-z0-9_.])?$/i.test(host))
    throw fail('the host is not a name');
  return host.toLowerCase();
}

function parsePort(text: string | undefined, fallback: number | undefined, fail: Fail): number {
  if (text === undefined) {
    if (fallback === undefined) throw fail('the port is missing');
    return fallback;
  }
  const port = Number(text);
  if (!/^\d{1,5}$/.test(text) || port < 1 || port > 65_535)
    throw fail(`port ${JSON.stringify(text)} is not 1 to 65535`);
  return port;
}
