import type { ReloadView } from '../admin/backend.ts';
import { systemClock } from '../base/time.ts';
import type { Config } from '../config/config.ts';
import { takingProxies } from '../membership/taking-proxies.ts';
import { type Common, createCommon } from './common.ts';
import { createDataPlane } from './data-plane-parts.ts';
import { createShutdown } from './shutdown.ts';
import { startAdmin } from './start-admin.ts';
import { type Control, startControl } from './start-control.ts';
import { startDataPlane } from './start-data-plane.ts';
import { Teardown } from './teardown.ts';

/** A proxy that runs. */
interface RunningProxy {
  /** Where devices connect, with the ports that were chosen; `listener` is the configuration's URL. */
  readonly addresses: readonly { readonly listener: string; readonly url: string }[];
  readonly adminUrl: string;
  /** Resolves when everything has stopped. */
  readonly closed: Promise<void>;
  /** Stops accepting, gives connections their time of grace, and ends. */
  stop(): Promise<void>;
  /** Cuts the grace short. */
  abort(): void;
  /** Reads the configuration again and applies what changed; what is wrong with it is in the log too. @throws BreakwaterError */
  reload(): Promise<ReloadView>;
}

/**
 * The composition root: one proxy, from the ground up, as the picture in `docs/architecture.md` shows it. Each part is given
 * what was made before it, and stops before what it stands on.
 * @param read the configuration as it is now, for a reload
 * @param stopping ends a start that is under way: it rejects with the signal's reason when all is closed again
 * @throws BreakwaterError CONFIG_INVALID (files of TLS), ADDRESS_IN_USE, ADDRESS_NOT_AVAILABLE, ENGINE_UNAVAILABLE, TRANSPARENT_UNAVAILABLE, ADMIN_TOKEN_REQUIRED
 */
export async function startProxy(
  config: Config,
  read: () => Promise<Config> = async () => config,
  stopping: AbortSignal = new AbortController().signal,
): Promise<RunningProxy> {
  const teardown = new Teardown();
  const common = await createCommon(config);
  const { log, phase, table, identity, engine, serviceManager } = common;
  teardown.defer(common.flushLog, () => serviceManager.close());
  try {
    const dataPlane = await createDataPlane(common, teardown);
    const { id: proxy, version, threads } = identity;
    log.info({ proxy, version, engine: engine.name, threads, why: engine.why }, 'starting');
    const control = await startControl(common, dataPlane, teardown, stopping);
    const { admin, reload } = await startAdmin(common, dataPlane, control, read, teardown);
    await startDataPlane(common, dataPlane, control, teardown);
    stopping.throwIfAborted();
    phase.isAccepting = true;
    serviceManager.ready({
      isAlive: () => dataPlane.watchdog.silentThreads.length === 0,
      status: () => statusLine(common, control),
    });

    const shutdown = createShutdown({
      ...{ clock: systemClock, log, close: () => teardown.run() },
      graceMs: () => common.current.config.limits.shutdownGraceMs,
      devices: () => table.devices(),
      begin() {
        phase.isAccepting = false;
        phase.isStopping = true;
        serviceManager.stopping();
      },
      isTakenOver: () => isTakenOver(common, control),
      stopAccepting: () => dataPlane.threads.stopAccepting(),
      dismiss: (part) => control.departures.end(part),
    });
    const { urls } = dataPlane.listeners;
    const addresses = config.listeners.map(({ url }, i) => ({ listener: url, url: urls[i] ?? url }));
    return { addresses, adminUrl: admin.url, reload, ...shutdown };
  } catch (error) {
    if (stopping.aborted) log.info({ devices: 0 }, 'stopped');
    await teardown.run();
    throw error;
  }
}

/** Another proxy of the cluster takes devices, or the configuration says that nobody is waited for. */
function isTakenOver({ current, identity }: Common, { cluster }: Pick<Control, 'cluster'>): boolean {
  if (current.config.limits.shutdownListeners === 'close') return true;
  return takingProxies(cluster.proxies()).some(({ id }) => id !== identity.id);
}

/** What `systemctl status` shows. */
function statusLine({ table, phase }: Common, { nodes }: Pick<Control, 'nodes'>): string {
  const all = nodes.list();
  const healthy = all.filter(({ health }) => health === 'healthy').length;
  const count = table.devices();
  const devices = `${count} ${count === 1 ? 'device' : 'devices'}`;
  if (!phase.isAccepting) return `stops: ${devices} still to leave`;
  return `${devices}; ${healthy} of ${all.length} nodes healthy`;
}
