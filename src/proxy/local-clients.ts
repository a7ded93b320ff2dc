import type { ClientDetail, SessionView, TlsView } from '../admin/backend.ts';
import { BreakwaterError } from '../base/errors.ts';
import type { PeerTls } from '../connection/wire.ts';
import type { DeviceOrders } from '../data-plane/device-orders.ts';
import type { ClientFilter, ClientRecord, SessionRecord, Whom } from '../data-plane-api/messages.ts';
import { noMoves } from '../data-plane-api/move-tally.ts';
import type { LocalClients } from '../migration/peer-clients.ts';
import type { Phase } from './phase.ts';

/** Most connections of one client id that are looked at: a device that reconnects is there twice for a moment. */
const MAX_TWINS = 16;

/** The devices of this proxy, as its data threads know them. */
export function createLocalClients(
  devices: Pick<DeviceOrders, 'clients' | 'kick' | 'move'>,
  proxyId: string,
  listenerUrl: (index: number) => string,
  phase: Pick<Phase, 'isUpgrading'>,
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
    async kick(whom) {
      if (isElsewhere(whom)) return 0;
      const count = await devices.kick(whom);
      if (count === 0 && phase.isUpgrading) throw goneOver();
      return count;
    },
    move: async (whom, node) => (isElsewhere(whom) ? noMoves : devices.move(whom, node)),
  };
}

/** Who stands still, or is at the new process, is ended there, and not counted. */
function goneOver(): BreakwaterError {
  const message =
    'connections go over to a new process: if it is among those, it is ended there; try again to be sure';
  return new BreakwaterError('UPGRADE_UNDER_WAY', message);
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
