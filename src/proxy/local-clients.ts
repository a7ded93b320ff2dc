import type { ClientDetail, SessionView, TlsView } from '../admin/backend.ts';
import type { PeerTls } from '../connection/wire.ts';
import type { DeviceOrders } from '../data-plane/device-orders.ts';
import type { ClientFilter, ClientRecord, SessionRecord, Whom } from '../data-plane-api/messages.ts';
import { noMoves } from '../data-plane-api/move-tally.ts';
import type { LocalClients } from '../migration/peer-clients.ts';

/** Most connections of one client id that are looked at: a device that reconnects is there twice for a moment. */
const MAX_TWINS = 16;

/** The devices of this proxy, as its data threads know them. */
export function createLocalClients(
  devices: Pick<DeviceOrders, 'clients' | 'kick' | 'move'>,
  proxyId: string,
  listenerUrl: (index: number) => string,
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

  return {
    clients,
    client: async (whom) => (isElsewhere(whom) ? [] : (await clients({ whom, limit: MAX_TWINS })).clients),
    kick: async (whom) => (isElsewhere(whom) ? 0 : devices.kick(whom)),
    move: async (whom, node) => (isElsewhere(whom) ? noMoves : devices.move(whom, node)),
  };
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
