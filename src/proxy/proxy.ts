import type { Config } from '../config/config.ts';
import { recordsFault } from '../engine/create.ts';
import { type Common, createCommon } from './common.ts';
import { createDataPlane } from './data-plane-parts.ts';
import { createEnding } from './ending.ts';
import { fromNothing, type Origin } from './origin.ts';
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
  /** Replaces this process; `closed` resolves when its last devices have left. @throws BreakwaterError as `Upgrade.run` */
  upgrade(): Promise<unknown>;
  /** Where another process has taken the place of this one: the exit code of the proxy, when it has ended. */
  successor(): Promise<number> | undefined;
  /**
   * SIGHUP: reads the configuration again and applies what changed, or says in the log why not. Behind an upgrade that is under way this is
   * done by whichever process is the proxy then.
   */
  hangUp(): void;
}

/**
 * The composition root: one proxy, from the ground up, as the picture in `docs/architecture.md` shows it. Each part is given
 * what was made before it, and stops before what it stands on.
 * @param read the configuration as it is now, for a reload
 * @param origin what it starts from
 * @param stopping ends a start that is under way: it rejects with the signal's reason when all is closed again
 * @throws BreakwaterError CONFIG_INVALID (files of TLS), ADDRESS_IN_USE, ADDRESS_NOT_AVAILABLE, ENGINE_UNAVAILABLE, TRANSPARENT_UNAVAILABLE, ADMIN_TOKEN_REQUIRED
 */
export async function startProxy(
  config: Config,
  read: () => Promise<Config> = async () => config,
  stopping: AbortSignal = new AbortController().signal,
  origin: Origin = fromNothing,
): Promise<RunningProxy> {
  const teardown = new Teardown();
  const common = await createCommon(config, origin.state);
  const { log, phase, identity, engine, serviceManager } = common;
  teardown.defer(common.flushLog, () => serviceManager.close());
  try {
    const dataPlane = await createDataPlane(common, teardown);
    const { id: proxy, version, threads } = identity;
    log.info({ proxy, version, engine: engine.name, threads, why: engine.why }, 'starting');
    const why = recordsFault(engine.name);
    if (why !== undefined) log.warn({ why }, 'TLS records are left to OpenSSL');
    const control = await startControl(common, dataPlane, teardown, stopping);
    const inherited = await origin.listeners();
    const { admin, ...asked } = await startAdmin(common, dataPlane, control, read, origin, teardown);
    const owners = await startDataPlane(common, dataPlane, control, inherited, teardown);
    await origin.settle({ common, dataPlane, control, admin, owners });
    stopping.throwIfAborted();
    phase.isAccepting = true;
    serviceManager.ready({
      isAlive: () => dataPlane.watchdog.silentThreads.length === 0,
      status: () => statusLine(common, control),
    });

    const { upgrade, hangUps } = asked;
    origin.formers.heed(() => hangUps.heed());
    const ending = createEnding({ common, dataPlane, control, admin, upgrade, teardown, origin });
    const { urls } = dataPlane.listeners;
    const addresses = config.listeners.map(({ url }, i) => ({ listener: url, url: urls[i] ?? url }));
    const hangUp = (): void => hangUps.heed();
    return { addresses, adminUrl: admin.url, hangUp, upgrade: upgrade.run, ...ending };
  } catch (error) {
    if (stopping.aborted) log.info({ devices: 0 }, 'stopped');
    await teardown.run();
    throw error;
  }
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
