/** A node: one broker endpoint behind the cluster address. */

/** What a person decided about a node. Kept apart from health, which is what was observed. */
export type AdminState = 'enabled' | 'draining' | 'disabled';

export type Health = 'healthy' | 'unhealthy' | 'unknown';

/** Where a node came from; `config` and `flag` nodes are this proxy's own, all others were added at run time. */
export type NodeSource = 'config' | 'flag' | 'api' | 'dns' | 'emqx' | 'self';

export const WEIGHT_MIN = 1;
export const WEIGHT_MAX = 100;
export const WEIGHT_DEFAULT = 10;
export const MAX_CONNECTIONS_MAX = 10_000_000;
/** Of all pools together. */
export const MAX_NODES = 1024;

/** What its configuration, its discovery or a person declares about a node. */
export interface NodeSpec {
  /** Unique over all pools; 1 to 64 characters of `[A-Za-z0-9._:@-]`. */
  readonly id: string;
  readonly pool: string;
  /** `mqtt://host:port`, or `mqtts://` for TLS; the host may be a name. */
  readonly url: string;
  /** Relative share of connections, 1 to 100. */
  readonly weight: number;
  /** Connections at one time, of all proxies; absent: no limit. What is more goes to the next node. */
  readonly maxConnections?: number;
  /** Where probes go when not to `url` itself. */
  readonly probeUrl?: string;
  readonly source: NodeSource;
}

/** A node as it stands now. */
export interface Node extends NodeSpec {
  readonly state: AdminState;
  readonly health: Health;
  /** It lives and takes no devices at present; absent: it takes devices. */
  readonly isBusy?: true;
}

/** May new connections be sent there, health apart? */
export function acceptsConnections(node: Pick<Node, 'state'>): boolean {
  return node.state === 'enabled';
}

/** The node that a person asks to add. */
export interface NodeCreate {
  readonly url: string;
  /** Default: `host:port` of the URL. */
  readonly id?: string | undefined;
  /** Default: the first pool of the configuration. */
  readonly pool?: string | undefined;
  readonly weight?: number | undefined;
  /** Default, and what 0 means: no limit. */
  readonly maxConnections?: number | undefined;
  readonly probeUrl?: string | undefined;
}

/** What a person changes of a node. */
export interface NodePatch {
  readonly weight?: number | undefined;
  /** 0: no limit. */
  readonly maxConnections?: number | undefined;
  readonly state?: AdminState | undefined;
}
