import type { LimitsConfig, PoolConfig } from '../config/config.ts';
import { Connection } from '../connection/connection.ts';
import type { EndCause, Peer, Target, Wire } from '../connection/wire.ts';
import type { ConnectionView, DialFailure, EndReason, Placement, World } from '../connection/world.ts';
import type { Connect } from '../mqtt/connect.ts';
import type { Decision, Refusal, RuleInput } from '../routing/rules.ts';
import type { Balancer } from './balancer.ts';
import type { ClientAnswer, ClientFilter, ClientRecord, ListenerSettings, ThreadEvent } from './messages.ts';
import type { TableReader } from './routing-table.ts';

/** What all listeners of one data thread share. */
export interface ThreadContext {
  readonly limits: LimitsConfig;
  readonly pools: readonly PoolConfig[];
  readonly table: TableReader;
  readonly balancer: Balancer;
  readonly decide: (input: RuleInput) => Decision;
  readonly now: () => number;
  readonly tell: (event: ThreadEvent) => void;
  /** Placed and ended connections are told one by one. */
  verbose: boolean;
}

/** The world of one listener's connections on one data thread: places them, counts them, tells of them. */
export class ListenerWorld implements World {
  readonly limits: LimitsConfig;
  readonly now: () => number;
  private readonly context: ThreadContext;
  private readonly listener: ListenerSettings;
  /** Every open connection, from accept on. */
  private readonly open = new Set<Connection>();

  constructor(context: ThreadContext, listener: ListenerSettings) {
    this.context = context;
    this.listener = listener;
    this.limits = context.limits;
    this.now = context.now;
  }

  /** A new device; `undefined` when there are already as many as may be. */
  accept(wire: Wire, peer: Peer): Connection | undefined {
    const { table } = this.context;
    table.countAccepted(this.listener.index);
    if (table.countDevice(1) >= this.limits.maxConnections) {
      table.countDevice(-1);
      table.countRejected('max-connections');
      return undefined;
    }
    const connection = new Connection(wire, peer, this);
    this.open.add(connection);
    return connection;
  }

  place(connect: Connect, peer: Peer): Placement | Refusal {
    const { pools, balancer, decide } = this.context;
    const { clientId, username } = connect;
    const sourceAddress = peer.remoteAddress;
    const decision = decide({ clientId, username, sourceAddress });
    if (decision !== undefined && 'reject' in decision) return decision.reject;
    const index =
      decision === undefined
        ? this.listener.pool
        : pools.findIndex((candidate) => candidate.name === decision.pool);
    const pool = pools[index];
    if (pool === undefined) return 'server-unavailable';
    return { candidates: balancer.candidates(index, { clientId, sourceAddress }), patience: pool.upstream };
  }

  take(target: Target): void {
    this.context.table.countConnection(this.listener.index, target.slot, 1);
  }

  release(target: Target): void {
    this.context.table.countConnection(this.listener.index, target.slot, -1);
  }

  dialFailed(target: Target, failure: DialFailure, detail: string): void {
    this.context.tell({ type: 'dial-failed', node: target.nodeId, failure, detail });
  }

  dialled(target: Target, ms: number): void {
    this.context.table.observeDial(ms / 1000);
    this.context.tell({ type: 'dialled', node: target.nodeId });
  }

  placed(connection: ConnectionView): void {
    if (this.context.verbose) this.context.tell({ type: 'placed', ...this.nameOf(connection) });
  }

  linkLost(target: Target, cause: EndCause): void {
    const live = this.context.table.liveAt(target.slot);
    this.context.tell({ type: 'link-lost', node: target.nodeId, cause, live });
  }

  rejected(reason: string, connection: ConnectionView): void {
    this.context.table.countRejected(reason);
    if (!this.context.verbose) return;
    const { remoteAddress } = this.nameOf(connection);
    const clientId = connection.connect?.clientId;
    this.context.tell({ type: 'rejected', reason, clientId, listener: this.listener.index, remoteAddress });
  }

  ended(connection: Connection, reason: EndReason, bytesFromDevice: number, bytesToDevice: number): void {
    const { table, verbose, tell, now } = this.context;
    this.open.delete(connection);
    table.countDevice(-1);
    table.count('bytesFromDevice', bytesFromDevice);
    table.count('bytesToDevice', bytesToDevice);
    if (!verbose || connection.placedAtMs === 0) return;
    const durationMs = now() - connection.placedAtMs;
    tell({ type: 'ended', ...this.nameOf(connection), reason, durationMs, bytesFromDevice, bytesToDevice });
  }

  private nameOf({ connect, target, peer }: ConnectionView) {
    return {
      clientId: connect?.clientId ?? '',
      node: target?.nodeId ?? '',
      listener: this.listener.index,
      remoteAddress: addressOf(peer),
    };
  }

  endAll(reason: EndReason): void {
    for (const connection of this.open) connection.end(reason);
  }

  /** Ends the connections of one client id; returns how many. */
  kick(clientId: string): number {
    let count = 0;
    for (const connection of this.open) {
      if (connection.placedAtMs === 0 || connection.connect?.clientId !== clientId) continue;
      connection.end('kicked');
      count++;
    }
    return count;
  }

  clients({ clientId, node, match, limit }: ClientFilter): ClientAnswer {
    const clients: ClientRecord[] = [];
    let total = 0;
    for (const { connect, target, peer, placedAtMs } of this.open) {
      if (connect === undefined || target === undefined || placedAtMs === 0) continue;
      if (clientId !== undefined && connect.clientId !== clientId) continue;
      if (node !== undefined && target.nodeId !== node) continue;
      if (match !== undefined && !connect.clientId.includes(match)) continue;
      total++;
      if (clients.length >= limit) continue;
      clients.push({
        clientId: connect.clientId,
        node: target.nodeId,
        listener: this.listener.index,
        remoteAddress: addressOf(peer),
        protocolVersion: connect.protocolVersion,
        keepAlive: connect.keepAlive,
        ageMs: this.now() - placedAtMs,
      });
    }
    return { clients, total };
  }
}

function addressOf({ remoteAddress, remotePort }: Peer): string {
  return remoteAddress.includes(':') ? `[${remoteAddress}]:${remotePort}` : `${remoteAddress}:${remotePort}`;
}
