import { messageOf } from '../base/errors.ts';
import type { Service } from '../data-plane/service.ts';
import type { Common } from './common.ts';
import { createConnectionEvents } from './connection-events.ts';
import { type DataPlaneParts, useCertificates } from './data-plane-parts.ts';
import type { Inherited } from './origin.ts';
import { createOwners, type Owners } from './owners.ts';
import type { Control } from './start-control.ts';
import type { Teardown } from './teardown.ts';
import { injectFaults } from './test-faults.ts';
import { succeed } from './thread-succession.ts';

/**
 * Starts the data threads and binds the listeners. When this resolves, devices are served. Resolves with who has which client id.
 * @throws BreakwaterError ADDRESS_IN_USE, ADDRESS_NOT_AVAILABLE
 */
export async function startDataPlane(
  common: Common,
  { threads, ...dataPlane }: DataPlaneParts,
  control: Control,
  inherited: Inherited,
  teardown: Teardown,
): Promise<Owners> {
  const { log, table, events } = common;
  const { cluster, keys, settings } = control;
  const owners = createOwners((thread, accepted) => threads.supersede(thread, accepted));
  teardown.defer(() => threads.close());
  injectFaults(threads);
  const service: Service = {
    settings: settings.make(),
    onEvents: receive(common, { threads, ...dataPlane }, control, owners),
    onFault: (thread, { where, message, stack }) =>
      log.error({ thread, error: message, stack }, `${where} failed`),
    onDeath(thread, error, deaths, survivors) {
      const cause = messageOf(error);
      log.error({ thread, error: cause, deaths }, 'data thread died; starting it again');
      events.emit({ type: 'thread', at: new Date().toISOString(), thread, state: 'died', cause });
      return succeed(thread, survivors, { table, owners, claims: cluster.claims, log });
    },
    onRefused: (why) => log.warn({ why }, 'a device of the dead data thread cannot go on'),
    onFailing: (thread, isFailing) => {
      if (isFailing) log.error({ thread }, 'data thread dies again and again: the proxy is not ready');
      else log.warn({ thread }, 'data thread that died again and again lives');
      const state = isFailing ? 'failing' : 'lives';
      events.emit({ type: 'thread', at: new Date().toISOString(), thread, state });
    },
  };
  await dataPlane.listeners.start(dataPlane.wanted, service, inherited);
  useCertificates({ threads, ...dataPlane });
  await dataPlane.certificates.useTicketKeys(keys.ticketKeys());
  return owners;
}

/** Where what the data threads tell goes. */
function receive(
  { log, events, history, metrics }: Common,
  { threads, listeners }: DataPlaneParts,
  { checker, losses, cluster, drains, carryOut }: Control,
  owners: ReturnType<typeof createOwners>,
) {
  return createConnectionEvents({
    log,
    ...{ emit: events.emit, history },
    health: checker,
    memory: cluster.claims,
    sessions: cluster.sessions,
    recalled: (thread, request, node) => threads.recalled(thread, request, node),
    afterOthers: setImmediate, // each port is read to its end before
    owners,
    losses,
    reattached: (reattachment, connackMs) => {
      const { cause, from, to, durationMs } = reattachment;
      const times = { durationMs, connackMs };
      metrics.reattached(reattachment);
      drains.reattached(from, cause, to !== undefined, times);
      carryOut.reattached(cause, to !== undefined, times);
    },
    requests: metrics.requests,
    listenerUrl: (index) => listeners.urlAt(index),
  });
}
