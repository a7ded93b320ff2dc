import { formatIp, newIpWords, parseIp } from '../protocol/address/ip.ts';
import { type Address, formatAuthority, parseAddress, parseAdminAddress } from './address.ts';
import { type Finding, formatPath, type Path } from './problems.ts';
import { at, listOf, textAt } from './raw.ts';

/** An address that this proxy would listen at. */
interface Bound {
  readonly path: Path;
  readonly port: number;
  /** In one spelling. */
  readonly host: string;
  /** 0: a name, which is compared as it stands. */
  readonly family: 4 | 6 | 0;
}

const DEFAULT_LISTENERS = [{ url: 'mqtt://0.0.0.0:1883' }];
const DEFAULT_ADMIN = 'http://127.0.0.1:9883';

/**
 * Two addresses of one port that are one, or one of which is part of the other: `0.0.0.0` is every IPv4 address, and `[::]`,
 * which is dual-stack, every address. Port 0 never collides.
 */
export function findSharedAddresses(raw: unknown): Finding[] {
  const byPort = new Map<number, Bound[]>();
  return addresses(raw).flatMap((bound) => {
    const others = byPort.get(bound.port) ?? [];
    const other = others.find((each) => covers(each, bound) || covers(bound, each));
    byPort.set(bound.port, [...others, bound]);
    return other === undefined ? [] : [{ path: bound.path, message: shared(bound, other) }];
  });
}

function shared(bound: Bound, other: Bound): string {
  const address = formatAuthority(bound.host, bound.port);
  if (bound.host === other.host) return `address ${address} is used twice`;
  const [part, whole] = covers(other, bound) ? [bound, other] : [other, bound];
  const theirs = `${formatAuthority(other.host, other.port)} of ${formatPath(other.path)}`;
  const how = whole === bound ? `includes ${theirs}` : `is part of ${theirs}`;
  return `address ${address} ${how}: ${whole.host} is every ${part.family === 4 && whole.family === 4 ? 'IPv4 ' : ''}address; choose another port`;
}

function covers(whole: Bound, part: Bound): boolean {
  if (whole.host === part.host) return true;
  if (part.family === 0) return false;
  return whole.host === '::' || (whole.host === '0.0.0.0' && part.family === 4);
}

/** The admin API's first: whoever takes its address is a listener. */
function addresses(raw: unknown): Bound[] {
  const admin = textAt(at(raw, 'admin'), 'url') ?? DEFAULT_ADMIN;
  const listeners = listOf(at(raw, 'listeners')) ?? DEFAULT_LISTENERS;
  return [
    ...toBound(['admin', 'url'], admin, parseAdminAddress),
    ...listeners.flatMap((listener, index) =>
      toBound(['listeners', index, 'url'], textAt(listener, 'url') ?? '', parseAddress),
    ),
  ];
}

function toBound(path: Path, url: string, parse: (url: string) => Address): Bound[] {
  try {
    const { host, port } = parse(url);
    const words = newIpWords();
    const family = parseIp(host === 'localhost' ? '127.0.0.1' : host, words);
    return port === 0 ? [] : [{ path, port, family, host: family === 0 ? host : formatIp(family, words) }];
  } catch {
    return []; // the schema says so
  }
}
