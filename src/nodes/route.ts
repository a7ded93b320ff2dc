/** A node as the data threads see it: what control writes of it into the routing table. */
export interface NodeRoute {
  readonly id: string;
  /** Number of the pool. */
  readonly pool: number;
  /** Number of another pool that it also belongs to: its former one, while a reload is under way. */
  readonly formerPool?: number | undefined;
  /** IPv4 or IPv6 literal; empty while the name does not resolve, which also means not enabled. */
  readonly host: string;
  /** Further addresses of the same node, where its name has more than one. */
  readonly otherHosts?: readonly string[] | undefined;
  readonly port: number;
  /** The name that its certificate is for; empty: it is reached without TLS. */
  readonly serverName: string;
  /** Relative share; only the proportions count. */
  readonly weight: number;
  /** Connections at one time, of all proxies; 0: no limit. */
  readonly maxConnections: number;
  /** New devices a second, by this proxy; 0: no limit. */
  readonly connectRate: number;
  /** Takes new connections, by a person's decision. */
  readonly enabled: boolean;
  /** Healthy, or not known to be unhealthy. */
  readonly usable: boolean;
  /** Takes no devices at present: others are asked first. */
  readonly busy: boolean;
}
