import { DataPlane } from '../data-plane/data-plane.ts';
import { watchThreads } from '../data-plane/worker-watch.ts';
import { CertificateWatch } from './certificate-watch.ts';
import { Certificates } from './certificates.ts';
import type { Common } from './common.ts';
import { readListeners } from './listener-tls.ts';
import { Listeners } from './listeners.ts';
import { PoolTls } from './pool-tls.ts';
import type { Teardown } from './teardown.ts';
import type { FilesTold } from './watched-files.ts';

/**
 * The data plane before it starts: its threads, its listeners, and the files of TLS that they need, read and checked.
 * @throws ConfigError with all that is wrong with those files
 */
export async function createDataPlane(common: Common, teardown: Teardown) {
  const { current, engine, identity, memory, table, poolNumbers, log, events } = common;
  const { config } = current;
  const threads = new DataPlane({
    count: identity.threads,
    engine: engine.name,
    spareEngine: engine.spare,
    table: memory,
    maxConnections: config.limits.maxConnections,
    reconnects: common.former?.reconnects,
  });
  const onTold: FilesTold = ({ listener, pool }, cause) => {
    const state = cause === undefined ? 'changed' : 'refused';
    const at = new Date().toISOString();
    events.emit({ type: 'certificate', at, subject: listener ?? pool ?? '', state, cause });
    certificateWatch.look();
  };
  const certificates = new Certificates({
    update: (listener, tls) => threads.updateTls(listener, tls),
    ...{ log, onTold },
  });
  const poolTls = new PoolTls({
    apply: (pool, tls) => threads.updateUpstreamTls(poolNumbers.of(pool), tls),
    ...{ log, onTold },
  });
  const usedCertificates = () => [...certificates.views(), ...poolTls.certificates()];
  const certificateWatch = new CertificateWatch({
    ...{ certificates: usedCertificates, emit: events.emit, clock: { now: Date.now }, log },
  });
  teardown.deferStop(certificates, poolTls, certificateWatch);
  const wanted = await readListeners(config, certificates);
  await poolTls.prepare(config);
  poolTls.use();
  const listeners = new Listeners({ threads, table, numbers: poolNumbers, log });
  const onSilence = (thread: number, isSilent: boolean, connection: number | undefined): void => {
    const state = isSilent ? 'stuck' : 'answers';
    events.emit({ type: 'thread', at: new Date().toISOString(), thread, state, connection });
  };
  const watchdog = watchThreads(table, log, onSilence, (thread, why) => threads.endThread(thread, why));
  return {
    ...{ threads, listeners, wanted, certificates, poolTls, watchdog },
    ...{ usedCertificates, certificateWatch },
  };
}

export type DataPlaneParts = Awaited<ReturnType<typeof createDataPlane>>;

/** The listeners are served by what their files say. Returns those whose files were others before. */
export function useCertificates({ listeners, certificates, certificateWatch }: DataPlaneParts): string[] {
  const present = listeners.secured();
  const changed = certificates.use(
    present,
    present.map(({ options }) => options),
  );
  certificateWatch.look();
  return changed;
}
