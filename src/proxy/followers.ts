import { setTimeout as sleep } from 'node:timers/promises';
import type { Log } from '../base/log.ts';
import type { CurrentConfig } from '../config/current.ts';
import type { Checker } from '../health/checker.ts';
import type { AddressBook } from '../membership/address-book.ts';
import type { ClusterMember } from '../membership/cluster-member.ts';
import type { RoutingTableSync } from '../membership/routing-table-sync.ts';
import type { NodeTable } from '../nodes/table.ts';
import type { PoolTls } from './pool-tls.ts';
import type { ReloadParts } from './reload.ts';

/** A reload waits so long for the names of new nodes to resolve. */
const RESOLVE_WAIT_MS = 2_000;

interface FollowerParts {
  readonly current: CurrentConfig;
  readonly nodes: NodeTable;
  readonly cluster: Pick<ClusterMember, 'enter' | 'leaveOthers'>;
  readonly addresses: Pick<AddressBook, 'resolved'>;
  readonly routes: Pick<RoutingTableSync, 'keepFormerPools' | 'leaveFormerPools' | 'refresh'>;
  readonly checker: Pick<Checker, 'retune'>;
  readonly poolTls: Pick<PoolTls, 'use'>;
  readonly log: Log & { level: string };
  readonly setVerbosity: () => void;
}

/** How the control plane follows a reload: at first what is new comes, at last what is gone leaves. */
export function createFollowers(parts: FollowerParts): Pick<ReloadParts, 'enter' | 'leave'> {
  const { current, nodes, cluster, addresses, routes, checker, poolTls, log, setVerbosity } = parts;
  return {
    async enter({ pools: { changed } }) {
      log.level = current.config.log.level;
      setVerbosity();
      poolTls.use();
      routes.keepFormerPools();
      cluster.enter();
      for (const pool of changed) {
        checker.retune(pool);
        for (const node of nodes.byPool(pool)) routes.refresh(node);
      }
      await Promise.race([addresses.resolved(), sleep(RESOLVE_WAIT_MS)]);
    },
    leave() {
      cluster.leaveOthers();
      routes.leaveFormerPools();
    },
  };
}
