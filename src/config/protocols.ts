import { protocolOf } from '../nodes/url.ts';
import type { Finding, Path } from './problems.ts';
import { at, listOf } from './raw.ts';

/**
 * What speaks HTTP, what speaks MQTT and what (`tcp`) anything, and does not go together. Works on the raw file, as `references.ts` does, and
 * passes over whatever has not even the right type.
 */
export function findMixedProtocols(raw: unknown, pools: readonly string[]): Finding[] {
  const listeners = listOf(at(raw, 'listeners')) ?? [{}];
  return pools.flatMap((pool) => {
    const using = listeners
      .filter((listener) => (at(listener, 'pool') ?? 'default') === pool)
      .map((listener) => String(at(listener, 'url') ?? 'mqtt://'));
    const path: Path = ['pools', pool];
    const nodes = (listOf(at(at(at(raw, 'pools'), pool), 'nodes')) ?? []).map((node) =>
      String(at(node, 'url')),
    );
    return [
      ...nodes.flatMap((url, index) => {
        return foreignNode(url, [...using, ...nodes.slice(0, 1)], [...path, 'nodes', index, 'url']);
      }),
      ...needsMqtt(at(at(raw, 'pools'), pool), nodes, path),
      ...uselessHeader(at(at(raw, 'pools'), pool), nodes, path),
      ...uselessTransparent(at(at(raw, 'pools'), pool), nodes, path),
      ...uselessRewrite(at(at(at(raw, 'pools'), pool), 'persistence'), using, path),
    ];
  });
}

const isHttp = (url: string): boolean => protocolOf(url) === 'HTTP';
const isTcp = (url: string): boolean => protocolOf(url) === 'TCP';

/** `others` are the listeners of its pool, and the first of its nodes. */
function foreignNode(url: string, others: readonly string[], path: Path): Finding[] {
  const speaks = protocolOf(url);
  const foreign = others.find((other) => protocolOf(other) !== speaks);
  if (foreign === undefined || !/^[a-z]+:\/\//.test(url)) return [];
  const wanted = protocolOf(foreign);
  const message = `speaks ${speaks}, and ${foreign} of its pool needs ${wanted}; give one of them another pool`;
  return [{ path, message }];
}

function needsMqtt(pool: unknown, nodes: readonly string[], path: Path): Finding[] {
  if (!nodes.some(isTcp)) return [];
  const found: Finding[] = [];
  if (at(pool, 'strategy') === 'client-id-hash')
    found.push({
      path: [...path, 'strategy'],
      message: 'needs MQTT, and the nodes are tcp; use source-hash',
    });
  if (at(at(pool, 'health'), 'probe') === 'mqtt')
    found.push({ path: [...path, 'health', 'probe'], message: 'needs MQTT, and the nodes are tcp; use tcp' });
  return found;
}

function uselessHeader(pool: unknown, nodes: readonly string[], path: Path): Finding[] {
  const version = at(at(pool, 'upstream'), 'proxyProtocol');
  if (version === undefined || version === 'none' || !nodes.some(isHttp)) return [];
  const message =
    'is not for HTTP: a connection to a node carries requests of many devices, which X-Forwarded-For and Forwarded tell; leave it out';
  return [{ path: [...path, 'upstream', 'proxyProtocol'], message }];
}

function uselessTransparent(pool: unknown, nodes: readonly string[], path: Path): Finding[] {
  if (at(at(pool, 'upstream'), 'transparent') !== true || !nodes.some(isHttp)) return [];
  const message = 'is not for HTTP: a connection to a node carries requests of many devices; leave it out';
  return [{ path: [...path, 'upstream', 'transparent'], message }];
}

function uselessRewrite(persistence: unknown, listeners: readonly string[], path: Path): Finding[] {
  const webSocket = listeners.find((url) => /^wss?:/.test(url));
  if (at(persistence, 'mode') !== 'rewrite' || webSocket === undefined) return [];
  const message = `is not for ${webSocket}, whose nodes speak MQTT and set no cookies; use insert`;
  return [{ path: [...path, 'persistence', 'mode'], message }];
}
