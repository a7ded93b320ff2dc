/**
 * Finds listeners, pools and nodes in the configuration that cannot work together, because they speak different
 * protocols.
 */

import { protocolOf } from '../nodes/url.ts';
import { fullUrl } from './address.ts';
import { MAX_LISTENERS } from './listeners.ts';
import type { Finding, Path } from './problems.ts';
import { at, listOf, textAt } from './raw.ts';

type Protocol = ReturnType<typeof protocolOf>;

/** Something of a pool that has to speak its protocol: a node, or what a discovery finds. */
interface Member {
  readonly path: Path;
  readonly url: string;
  readonly isDiscovered: boolean;
}

/** Where devices come in, and what it says besides. */
interface Listener {
  readonly url: string;
  readonly raw: unknown;
}

interface Pool {
  readonly name: string;
  readonly raw: unknown;
  readonly path: Path;
  /** URLs of the listeners that lead to it by themselves. */
  readonly listeners: readonly string[];
  readonly members: readonly Member[];
}

/**
 * Finds listeners, pools and nodes that are tied to each other and do not speak the same protocol: HTTP, MQTT, or anything
 * (`tcp`). Works on the raw file, as `references.ts` does, and passes over whatever has not even the right type.
 */
export function findMixedProtocols(raw: unknown, names: readonly string[]): Finding[] {
  const listeners = (listOf(at(raw, 'listeners')) ?? [{}])
    .slice(0, MAX_LISTENERS)
    .map((each) => ({ raw: each, url: textAt(each, 'url') ?? 'mqtt://0.0.0.0:1883' }));
  const leadingTo = new Map<string, string[]>();
  for (const { raw: listener, url } of listeners) {
    const pool = textAt(listener, 'pool') ?? 'default';
    leadingTo.set(pool, [...(leadingTo.get(pool) ?? []), url]);
  }
  const pools = names.map((name) => poolOf(name, at(at(raw, 'pools'), name), leadingTo.get(name) ?? []));
  return [
    ...pools.flatMap((pool) => [
      ...foreignMembers(pool),
      ...needsMqtt(pool),
      ...uselessHeader(pool),
      ...uselessTransparent(pool),
      ...uselessRewrite(pool),
    ]),
    ...foreignRules(listOf(at(raw, 'rules')) ?? [], listeners, pools),
  ];
}

function poolOf(name: string, raw: unknown, listeners: readonly string[]): Pool {
  const path = ['pools', name];
  const nodes = (listOf(at(raw, 'nodes')) ?? []).map((node, index) => ({
    path: [...path, 'nodes', index, 'url'],
    url: textAt(node, 'url') ?? '',
    isDiscovered: false,
  }));
  const found = (listOf(at(raw, 'discovery')) ?? []).map((entry, index) => ({
    path: [...path, 'discovery', index, 'scheme'],
    url: `${textAt(entry, 'scheme') ?? 'mqtt'}://`,
    isDiscovered: true,
  }));
  const members = [...nodes, ...found].filter(({ url }) => /^[a-z]+:\/\//i.test(url));
  return { name, raw, path, listeners, members };
}

/** What the nodes of a pool speak, or are to speak; undefined where nothing says it. */
function protocolIn({ members, listeners }: Pool): Protocol | undefined {
  const said = members[0]?.url ?? listeners[0];
  return said === undefined ? undefined : protocolOf(said);
}

function foreignMembers({ members, listeners }: Pool): Finding[] {
  const first = members.slice(0, 1).map(({ url }) => url);
  return members.flatMap(({ path, url, isDiscovered }) => {
    const speaks = protocolOf(url);
    const foreign = [...listeners, ...first].find((other) => protocolOf(other) !== speaks);
    if (foreign === undefined) return [];
    const what = isDiscovered ? `finds nodes that speak ${speaks}` : `speaks ${speaks}`;
    const message = `${what}, and ${foreign} of its pool needs ${protocolOf(foreign)}; give one of them another pool`;
    return [{ path, message }];
  });
}

function needsMqtt(pool: Pool): Finding[] {
  const protocol = protocolIn(pool);
  if (protocol === undefined || protocol === 'MQTT') return [];
  const { raw, path } = pool;
  const nodes = protocol.toLowerCase();
  const found: Finding[] = [];
  const complain = (keys: readonly string[], remedy: string) =>
    found.push({ path: [...path, ...keys], message: `needs MQTT, and the nodes are ${nodes}; ${remedy}` });
  if (at(raw, 'strategy') === 'client-id-hash') complain(['strategy'], 'use source-hash');
  if (at(at(raw, 'persistence'), 'by') === 'client-id')
    complain(
      ['persistence', 'by'],
      protocol === 'HTTP' ? 'use cookie' : 'use none, and source-hash as strategy',
    );
  if (at(at(raw, 'health'), 'probe') === 'mqtt' && !isProbedByMqtt(raw))
    complain(['health', 'probe'], protocol === 'HTTP' ? 'use http or tcp' : 'use tcp');
  return found;
}

/** Every node has a URL of its own for probes, where MQTT is spoken. */
function isProbedByMqtt(pool: unknown): boolean {
  const nodes = listOf(at(pool, 'nodes')) ?? [];
  const hasDiscovery = (listOf(at(pool, 'discovery')) ?? []).length > 0;
  return (
    nodes.length > 0 &&
    !hasDiscovery &&
    nodes.every((node) => /^mqtts?:/i.test(textAt(node, 'probeUrl') ?? ''))
  );
}

function uselessHeader(pool: Pool): Finding[] {
  const version = at(at(pool.raw, 'upstream'), 'proxyProtocol');
  if (version === undefined || version === 'none' || protocolIn(pool) !== 'HTTP') return [];
  const message =
    'is not for HTTP: a connection to a node carries requests of many devices, which X-Forwarded-For and Forwarded tell; leave it out';
  return [{ path: [...pool.path, 'upstream', 'proxyProtocol'], message }];
}

function uselessTransparent(pool: Pool): Finding[] {
  if (at(at(pool.raw, 'upstream'), 'transparent') !== true || protocolIn(pool) !== 'HTTP') return [];
  const message = 'is not for HTTP: a connection to a node carries requests of many devices; leave it out';
  return [{ path: [...pool.path, 'upstream', 'transparent'], message }];
}

function uselessRewrite({ raw, path, listeners }: Pool): Finding[] {
  const webSocket = listeners.find((url) => /^wss?:/.test(url));
  if (at(at(raw, 'persistence'), 'mode') !== 'rewrite' || webSocket === undefined) return [];
  const message = `is not for ${webSocket}, whose nodes speak MQTT and set no cookies; use insert`;
  return [{ path: [...path, 'persistence', 'mode'], message }];
}

/** Rules whose pool speaks another protocol than a listener that they may be asked for. */
function foreignRules(
  rules: readonly unknown[],
  listeners: readonly Listener[],
  pools: readonly Pool[],
): Finding[] {
  const protocols = new Map(pools.map((pool) => [pool.name, protocolIn(pool)]));
  return rules.flatMap((rule, index) => {
    const name = textAt(rule, 'pool');
    const speaks = name === undefined ? undefined : protocols.get(name);
    if (speaks === undefined) return [];
    const when = at(rule, 'when');
    const named = namedListeners(when);
    const foreign = listeners.find(
      (listener) =>
        protocolOf(listener.url) !== speaks && named.has(fullUrlOf(listener.url)) && mayAsk(listener, when),
    );
    if (foreign === undefined) return [];
    const remedy =
      named === everyListener
        ? 'say in when.listener which listeners it is for, or choose another pool'
        : 'choose another pool';
    const message = `sends what comes by ${foreign.url} to nodes that speak ${speaks}; ${remedy}`;
    return [{ path: ['rules', index, 'pool'], message }];
  });
}

const everyListener = { has: () => true };

function namedListeners(when: unknown): { has(url: string): boolean } {
  const named = at(when, 'listener');
  if (named === undefined) return everyListener;
  return new Set((listOf(named) ?? [named]).map((one) => (typeof one === 'string' ? fullUrlOf(one) : '')));
}

/** Can the conditions hold for a connection of this listener? */
function mayAsk({ url, raw }: Listener, when: unknown): boolean {
  const has = (...keys: readonly string[]) => keys.some((key) => at(when, key) !== undefined);
  if (has('clientId', 'username', 'protocolVersion', 'cleanStart') && protocolOf(url) !== 'MQTT')
    return false;
  if (has('host', 'path') && !/^(wss?|https?):/i.test(url)) return false;
  return !has('sni', 'clientCn') || knowsTls(raw, url);
}

function fullUrlOf(url: string): string {
  try {
    return fullUrl(url);
  } catch {
    return url;
  }
}

/** By a handshake of its own, by one that passes through, or by what a proxy before it tells. */
function knowsTls(listener: unknown, url: string): boolean {
  return (
    /^(mqtts|wss|https):/i.test(url) ||
    at(listener, 'passthrough') === 'tls' ||
    !['off', undefined].includes(textAt(listener, 'proxyProtocol'))
  );
}
