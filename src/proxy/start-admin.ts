import { Admin } from '../admin/admin.ts';
import { systemClock } from '../base/time.ts';
import { allTokens } from '../config/admin.ts';
import type { Config } from '../config/config.ts';
import { placeOf } from '../config/source.ts';
import { AdminTls } from './admin-tls.ts';
import { createBackend } from './backend.ts';
import { createBans } from './bans.ts';
import { checkReload } from './check-config.ts';
import type { Common } from './common.ts';
import { type DataPlaneParts, useCertificates } from './data-plane-parts.ts';
import { createFollowers } from './followers.ts';
import { HangUps } from './hang-ups.ts';
import { readListeners } from './listener-tls.ts';
import { checkMachine } from './machine.ts';
import type { Origin } from './origin.ts';
import { paced } from './paced.ts';
import { createReload } from './reload.ts';
import { singleFlight } from './single-flight.ts';
import { snapshotOf } from './snapshot.ts';
import type { Control } from './start-control.ts';
import type { Teardown } from './teardown.ts';
import { createUpgrade, type Upgrade } from './upgrade.ts';

/**
 * Serves what people and programs ask. Before the data plane, so that orchestrators see a start that takes its time; but where
 * an older process still answers, when that is over.
 * @throws BreakwaterError ADDRESS_IN_USE, ADMIN_TOKEN_REQUIRED
 */
export async function startAdmin(
  common: Common,
  dataPlane: DataPlaneParts,
  control: Control,
  read: () => Promise<Config>,
  origin: Origin,
  teardown: Teardown,
): Promise<{
  readonly admin: Admin;
  readonly upgrade: Upgrade;
  readonly hangUps: HangUps;
}> {
  const { current, log, events } = common;
  const { url } = current.config.admin;
  const adminTls = new AdminTls({ serve: (tls) => admin.useTls(tls), emit: events.emit, log });
  teardown.deferStop(adminTls);
  const tls = await adminTls.prepare(current.config);
  const reloads = reloadOf(common, dataPlane, control, adminTls, read);
  const hangUps = new HangUps({ reload: () => reloads.run().catch(() => {}), log }); // the log says why
  const upgrade = createUpgrade({ common, dataPlane, control, admin: () => admin, origin, hangUps, reloads });
  const backend = createBackend({
    ...{ ...common, ...control, reload: reloads.run, upgrade: upgrade.run },
    bans: createBans({
      store: control.store,
      bans: () => control.cluster.bans,
      clock: { now: Date.now },
      events,
    }),
    check: singleFlight(() => checkReload(current.config, read)).run,
    listeners: dataPlane.listeners,
    isLeft: (id) => control.drains.progress(id) !== undefined,
    proxies: () => control.cluster.proxies(),
    storeOutage: () => control.cluster.outage(),
    lostProxies: () => control.cluster.lostProxies(),
    addressOf: (node) => control.addresses.shown(node),
    probesOf: (id) => control.probes.of(id),
    crls: () => dataPlane.certificates.crls(),
    certificates: () => [...dataPlane.certificates.views(), ...adminTls.views()],
    descriptorShortage: control.settings.descriptorShortage,
    accepted: () => dataPlane.listeners.accepted,
    silentThreads: () => dataPlane.watchdog.silentThreads,
    failingThreads: () => dataPlane.threads.failingThreads,
    metrics: paced(() => metricsOf(common, dataPlane, control, adminTls), systemClock),
  });
  const tokens = () => allTokens(current.config.admin);
  const place = placeOf(current.config, ['admin', 'url']);
  const clients = () => current.config.admin.clients;
  const admin = await Admin.create({ url, place, tokens, clients, tls, backend, log });
  adminTls.use();
  teardown.defer(() => admin.close());
  await origin.openAdmin(async (inherited) => {
    await admin.open(inherited);
    log.info({ url: admin.url }, 'admin listening');
  });
  return { admin, upgrade, hangUps };
}

/** What a reload reads, and who follows it. */
function reloadOf(
  common: Common,
  dataPlane: DataPlaneParts,
  control: Control,
  adminTls: AdminTls,
  read: () => Promise<Config>,
) {
  const { threads, listeners, certificates, poolTls } = dataPlane;
  const { settings } = control;
  return createReload({
    ...{ ...common, listeners, read },
    ...createFollowers({ ...common, ...control, poolTls, setVerbosity: settings.setVerbosity }),
    async wanted(next) {
      await checkMachine(next);
      await poolTls.prepare(next);
      await adminTls.prepare(next);
      return readListeners(next, certificates);
    },
    accepting: () => common.phase.isAccepting && !common.phase.isUpgrading,
    onBegin: () => common.serviceManager.reloading(),
    onDone(result, cause) {
      common.serviceManager.reloaded();
      common.events.emit({ type: 'reload', at: new Date().toISOString(), result, cause });
    },
    async data(listenerSettings) {
      await threads.applySettings(settings.make(), listenerSettings);
      return [...useCertificates(dataPlane), ...adminTls.use()];
    },
  });
}

function metricsOf(common: Common, dataPlane: DataPlaneParts, control: Control, adminTls: AdminTls) {
  const { listeners, watchdog } = dataPlane;
  const usedCertificates = () => [...dataPlane.usedCertificates(), ...adminTls.views()];
  const snapshot = snapshotOf({
    ...{ ...common, ...control, listeners, usedCertificates },
    skipped: control.skipped.counts,
    forgotten: control.forgotten.counts,
    longestTurns: () => watchdog.longestTurns(),
    isDraining: () => common.phase.isDraining,
    threads: dataPlane.threads,
  });
  return common.metrics.exposition(snapshot);
}
