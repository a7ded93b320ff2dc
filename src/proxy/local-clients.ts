import type { ClientDetail, SessionView, TlsView } from '../admin/backend.ts';
import { BreakwaterError } from '../base/errors.ts';
import type { PeerTls } from '../connection/wire.ts';
import type { DeviceOrders } from '../data-plane/device-orders.ts';
import type { Whom } from '../data-plane-api/device-order.ts';
import type { ClientFilter, ClientRecord, SessionRecord } from '../data-plane-api/messages.ts';
import { hasFound, noMoves } from '../data-plane-api/move-tally.ts';
import type { LocalClients } from '../migration/peer-clients.ts';
import type { Phase } from './phase.ts';

/** Most connections of one client id that are looked at: a device that reconnects is there twice for a moment. */
const MAX_TWINS = 16;

/**
 * The devices of this proxy, as its data threads know them.
 * @param standstill why some of them may not be found just now
 */
export function createLocalClients(
  devices: Pick<DeviceOrders, 'clients' | 'kick' | 'move'>,
  proxyId: string,
  listenerUrl: (index: number) => string,
  standstill: () => BreakwaterError | undefined,
): LocalClients {
  const viewOf = (record: ClientRecord): ClientDetail => ({
    clientId: record.clientId,
    connection: record.connection,
    node: record.node,
    proxy: proxyId,
    listener: listenerUrl(record.listener),
    remoteAddress: record.remoteAddress,
    protocolVersion: record.protocolVersion,
    keepAlive: record.keepAlive,
    mode: record.mode,
    connectedAt: new Date(Date.now() - record.ageMs).toISOString(),
    reattachments: record.reattachments,
    session: record.session && sessionView(record.session),
    tls: record.tls && tlsView(record.tls),
  });

  async function clients(filter: ClientFilter) {
    const answer = await devices.clients(filter);
    return { ...answer, clients: answer.clients.map(viewOf) };
  }

  const isElsewhere = (whom: Whom): boolean =>
    'connection' in whom && whom.proxy !== undefined && whom.proxy !== proxyId;

  /** Whom nobody has found may stand still, or be at another process: before it was asked, or since then. */
  async function settled<T>(ask: () => Promise<T>, isFound: (answer: T) => boolean): Promise<T> {
    const before = standstill();
    const answer = await ask();
    const why = before ?? standstill();
    if (why !== undefined && !isFound(answer)) throw why;
    return answer;
  }

  return {
    clients,
    async client(whom) {
      if (isElsewhere(whom)) return [];
      const ask = async () => (await clients({ whom, limit: MAX_TWINS })).clients;
      return settled(ask, (found) => found.length > 0);
    },
    async kick(whom) {
      if (isElsewhere(whom)) return 0;
      return settled(
        () => devices.kick(whom),
        (count) => count > 0,
      );
    },
    async move(whom, node) {
      if (isElsewhere(whom)) return noMoves;
      return settled(() => devices.move(whom, node), hasFound);
    },
  };
}

/**
 * Why devices of this proxy may not be found just now. What people order those to do they do when they go on.
 * @param awaited devices whose data thread has died
 */
export function standstillOf({ isUpgrading }: Pick<Phase, 'isUpgrading'>, awaited: number) {
  const hint = 'the device may be among those; try again';
  if (isUpgrading)
    return new BreakwaterError('UPGRADE_UNDER_WAY', `connections go over to a new process, and ${hint}`);
  if (awaited > 0)
    return new BreakwaterError('THREAD_UNAVAILABLE', `devices of a data thread that died wait, and ${hint}`);
  return undefined;
}

function tlsView({ serverName: sni, clientCertificateCn: clientCn, ...rest }: PeerTls): TlsView {
  return { ...rest, sni, clientCn };
}

function sessionView({ history, ...facts }: SessionRecord): SessionView {
  return {
    ...facts,
    history: history.map(({ agoMs, durationMs, ...rest }) => ({
      at: new Date(Date.now() - agoMs).toISOString(),
      ...rest,
      duration: Math.round(durationMs) / 1000,
    })),
  };
}
