import * as c from './libc.ts';
import { errnoName, type Libc } from './libc.ts';

/** Dialling nodes from addresses that are not of this machine: the socket option, and whether this process may set it. */

/**
 * The option, as level and name, that has a socket bind to an address that is none of this machine: IP_TRANSPARENT (ip(7))
 * and its like for IPv6. Setting it is EPERM without CAP_NET_ADMIN.
 */
export function transparentOption(family: number): readonly [level: number, name: number] {
  return family === c.AF_INET6 ? [c.IPPROTO_IPV6, c.IPV6_TRANSPARENT] : [c.IPPROTO_IP, c.IP_TRANSPARENT];
}

/** Why this process may not set it; undefined where it may. */
export function transparentFault(libc: Libc): string | undefined {
  const fd = libc.socket(c.AF_INET, c.SOCK_STREAM | c.SOCK_CLOEXEC, 0);
  if (fd < 0) return errnoName(fd);
  const on = libc.pin(4);
  on.bytes.writeInt32LE(1, 0);
  const [level, name] = transparentOption(c.AF_INET);
  const result = libc.setsockopt(fd, level, name, on.address, 4);
  libc.close(fd);
  return result === 0 ? undefined : `the process needs the capability CAP_NET_ADMIN (${errnoName(result)})`;
}
