import { lookup } from 'node:dns/promises';
import { hostname, networkInterfaces } from 'node:os';

/**
 * The URL under which others reach a broker that listens here. Behind a wildcard that is the address of this machine's
 * name, in a container its own; where that is loopback (Debian's 127.0.1.1), the first address of a network.
 */
export async function advertisedUrl(host: string, port: number): Promise<string> {
  const reachable = host === '0.0.0.0' || host === '::' ? await ownAddress(host === '::' ? 0 : 4) : host;
  return `mqtt://${reachable.includes(':') ? `[${reachable}]` : reachable}:${port}`;
}

/** @param family 4, or 0 for any */
async function ownAddress(family: 0 | 4): Promise<string> {
  const named = await lookup(hostname(), { family }).catch(() => undefined);
  if (named !== undefined && !isLoopback(named.address)) return named.address;
  const outside = Object.values(networkInterfaces())
    .flatMap((addresses) => addresses ?? [])
    .find(
      (each) =>
        !each.internal && !each.address.startsWith('fe80:') && (family === 0 || each.family === 'IPv4'),
    );
  return outside?.address ?? '127.0.0.1'; // no network: then nobody is elsewhere
}

function isLoopback(address: string): boolean {
  return address.startsWith('127.') || address === '::1';
}
