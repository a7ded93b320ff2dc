import { createMetrics } from '../base/metrics/metrics.ts';
import { openProcessLog } from '../base/process-log.ts';
import type { Config, PoolConfig } from '../config/config.ts';
import { ConfigHolder } from '../config/current.ts';
import { moveCauses } from '../connection/connection-host.ts';
import { tableThreads } from '../data-plane/data-plane.ts';
import { PoolNumbers } from '../data-plane-api/pool-numbers.ts';
import { createTableMemory, openTable, TableWriter } from '../data-plane-api/routing-table.ts';
import { chooseEngine } from '../engine/create.ts';
import type { ControlState } from './control-state.ts';
import { createJournal } from './create-journal.ts';
import { identify, threadsWanted } from './identity.ts';
import { checkMachine } from './machine.ts';
import { createPhase } from './phase.ts';
import { connectServiceManager } from './service-manager.ts';

/**
 * What all parts of one proxy need: its configuration, its identity, the routing table, the log and the events.
 * @param former what the process before this one knew, where there is one
 * @throws BreakwaterError CONFIG_INVALID, ENGINE_UNAVAILABLE, TRANSPARENT_UNAVAILABLE
 */
export async function createCommon(config: Config, former?: ControlState) {
  const current = new ConfigHolder(config);
  const processLog = openProcessLog(config.log);
  await checkMachine(config);
  const engine = chooseEngine(config.proxy.engine, threadsWanted(config.proxy));
  const identity = identify(config, engine.name, former?.identity);
  const metrics = createMetrics(moveCauses);
  const memory = createTableMemory(tableThreads(identity.threads));
  const table = new TableWriter(openTable(memory, tableThreads(identity.threads)));
  if (former !== undefined) table.numberBehind(former.lastNumber);
  return {
    current,
    pools: (): readonly PoolConfig[] => current.config.pools,
    log: processLog.log,
    logDropped: processLog.dropped,
    logLoss: processLog.loss,
    flushLog: processLog.flush,
    engine,
    identity,
    former,
    memory,
    table,
    poolNumbers: new PoolNumbers(),
    ...createJournal(current, metrics.incident, former !== undefined),
    metrics,
    serviceManager: connectServiceManager(processLog.log),
    phase: createPhase(former?.moves.departures.isDraining),
  };
}

export type Common = Awaited<ReturnType<typeof createCommon>>;
