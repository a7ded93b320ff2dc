import type { NamedChanges } from '../config/difference.ts';
import type { TracedPacket } from '../connection/packet-trace.ts';
import type { AdminState, Health, NodeCreate, NodePatch, NodeSource } from '../nodes/node.ts';
import type { BanKind } from '../policy/admission/bans.ts';
import type { JournalBackend } from './journal-views.ts';
import type { ProxyView, StatusView } from './status-views.ts';

/**
 * What the admin API asks of the rest of Breakwater, and the shapes that it answers with.
 * `server.ts` passes the implementation in; the CLI reads the same shapes.
 */

export type { BreakwaterEvent } from '../journal/event.ts';
export type { CertificateView, CrlView, DescriptorShortage, ProxyView, StatusView } from './status-views.ts';

export interface NodeView {
  readonly id: string;
  readonly pool: string;
  readonly url: string;
  readonly weight: number;
  /** Absent: no limit. */
  readonly maxConnections?: number | undefined;
  readonly state: AdminState;
  readonly health: Health;
  /** Why the health last changed, and when (RFC 3339). */
  readonly healthCause?: string | undefined;
  readonly healthSince?: string | undefined;
  /** Live connections, of all proxies. */
  readonly connections: number;
  /** Links that this proxy has opened there since the node was added, moves included; begins again at 2^32. */
  readonly connectsTotal: number;
  /** Messages of devices in session mode that this proxy has passed on, in both directions; listeners that are gone are not counted. */
  readonly messagesTotal: number;
  readonly source: NodeSource;
}

/** One node with what only `node inspect` shows. */
export interface NodeDetail extends NodeView {
  readonly probeUrl: string | undefined;
  /** Resolved address that is dialled, `host:port`; absent while the name does not resolve. */
  readonly address: string | undefined;
  /** The last probes by this proxy, oldest first. */
  readonly probes: readonly ProbeView[];
}

interface ProbeView {
  /** RFC 3339. */
  readonly at: string;
  readonly seconds: number;
  /** Such as `ECONNREFUSED`; absent: the node serves. */
  readonly failure?: string | undefined;
}

export interface ClientView {
  /** Of a device that brought none, the one that its node assigned (MQTT 5), or empty. */
  readonly clientId: string;
  /** Number of the connection: no other of its proxy has it. */
  readonly connection: number;
  /** While no node has the session: the one that is asked, or that it comes from. */
  readonly node: string;
  readonly proxy: string;
  readonly listener: string;
  /** `address:port`. */
  readonly remoteAddress: string;
  readonly protocolVersion: 3 | 4 | 5;
  /** Seconds. */
  readonly keepAlive: number;
  readonly mode: 'relay' | 'session';
  /** RFC 3339. */
  readonly connectedAt: string;
  readonly reattachments: number;
}

/** One device with what only `client inspect` shows. */
export interface ClientDetail extends ClientView {
  /** In session mode. */
  readonly session?: SessionView | undefined;
  /** Where the device came by TLS. */
  readonly tls?: TlsView | undefined;
}

export interface TlsView {
  readonly version: string;
  readonly cipher: string;
  /** The name that the device asked for. */
  readonly sni?: string | undefined;
  readonly alpn?: string | undefined;
  /** Common name of its verified certificate. */
  readonly clientCn?: string | undefined;
}

export interface SessionView {
  readonly subscriptions: number;
  /** Packets that the device waits for, and messages that it has not finished with. */
  readonly inflightFromDevice: number;
  readonly inflightToDevice: number;
  readonly rememberedBytes: number;
  /** A node has it; false while another one is sought. */
  readonly served: boolean;
  /** Why it cannot be moved now; absent where it can. */
  readonly immovable?: string | undefined;
  /** The last re-attachments, newest last. */
  readonly history: readonly ReattachmentView[];
}

export interface ReattachmentView {
  /** RFC 3339. */
  readonly at: string;
  readonly cause: string;
  /** Of `link-lost`: what showed that the node was gone. */
  readonly evidence?: string | undefined;
  readonly from: string;
  /** Absent where no node took the session. */
  readonly to?: string | undefined;
  /** Seconds, from the loss of the old node or the order to move. */
  readonly duration: number;
  /** Had the new node the session already? */
  readonly sessionPresent: boolean;
}

/** How far sessions have moved, over all proxies. */
export interface MovesView {
  /**
   * `off`: nothing is to move. `blocked`: nothing that is left can be moved now, by relay mode or because no node takes
   * it. `done`: nothing is left.
   */
  readonly state: 'off' | 'moving' | 'blocked' | 'done';
  readonly moved: number;
  /** Tries that failed, and devices that were disconnected because they cannot be moved. */
  readonly failed: number;
  /** Still to go. */
  readonly left: number;
  /** Sessions a second that may move, and that moved of late. */
  readonly rate: number;
  readonly pace: number;
  /** Seconds at this pace; absent while there is none. */
  readonly timeLeft?: number | undefined;
}

export interface DrainView extends MovesView {
  readonly node: string;
  /** Of those left: they stay until they leave by themselves, because they are relayed or hold too much. */
  readonly stays: number;
}

export interface RebalanceView extends MovesView {
  readonly pools: readonly string[];
  readonly tolerance: number;
  /** Between the fullest and the emptiest node, in parts of the fair share; the largest of all pools. */
  readonly spread: number;
}

/** How far devices have left a proxy that is drained. */
export interface ProxyDrainView extends MovesView {
  readonly proxy: string;
}

export interface ProxyRebalanceView extends MovesView {
  /** Those that take devices. */
  readonly proxies: readonly string[];
  readonly tolerance: number;
  /** Between the fullest and the emptiest proxy, in parts of the mean. */
  readonly spread: number;
}

export interface ProxyDrainRequest {
  /** Devices a second. */
  readonly rate?: number | undefined;
  /** Instead of a rate: all leave within so many seconds. */
  readonly within?: number | undefined;
  /** Seconds in which the proxy is not ready and nobody leaves. */
  readonly delay?: number | undefined;
}

export interface ProxyRebalanceRequest {
  /** Devices a second, over all proxies. */
  readonly rate?: number | undefined;
  /** Part of the mean by which the fullest and the emptiest proxy may differ. */
  readonly tolerance?: number | undefined;
}

export interface DrainRequest {
  /** Sessions a second, over all proxies. */
  readonly rate?: number | undefined;
}

export interface RebalanceRequest extends DrainRequest {
  /** Absent: every pool whose strategy allows it. */
  readonly pool?: string | undefined;
  /** Part of the fair share by which the fullest and the emptiest node may differ. */
  readonly tolerance?: number | undefined;
}

export interface ClientQuery {
  readonly node?: string | undefined;
  /** Only client ids that contain this. */
  readonly match?: string | undefined;
  /** Only those behind this connection in the order of the list: the `next` of the page before. */
  readonly after?: ConnectionAddress | undefined;
  /** At most so many, 1 to 10,000. */
  readonly limit: number;
}

/** A connection of the cluster: each proxy numbers its own. */
export interface ConnectionAddress {
  readonly connection: number;
  readonly proxy: string;
}

/** In the order of proxies and of the numbers of connections: whoever stays connected is in one page, and in one only. */
export interface ClientList {
  readonly clients: readonly ClientView[];
  /** How many match in all, also beyond `limit`, but for the devices of proxies that are missing. */
  readonly total: number;
  /** Where the next page begins (`after`), such as `#17@edge-1`; absent: there is none. */
  readonly next?: string | undefined;
  /** Ids of proxies that live and did not answer, or not to the end. */
  readonly missing: readonly string[];
}

/** Whom a ban is about: exactly one of them is there. */
export type BanCriterion = { readonly [Kind in BanKind]?: string | undefined };

export interface BanRequest extends BanCriterion {
  /** Seconds; absent: until it is removed. */
  readonly expires?: number | undefined;
  readonly reason?: string | undefined;
  /** Who is connected and matches is disconnected. */
  readonly kick?: boolean | undefined;
}

export interface BanView extends BanCriterion {
  /** Made of whom it is about. */
  readonly id: string;
  readonly reason?: string | undefined;
  /** RFC 3339. */
  readonly createdAt: string;
  /** RFC 3339; absent: it holds until it is removed. */
  readonly expiresAt?: string | undefined;
  readonly kick: boolean;
}

export interface PoolView {
  readonly name: string;
  readonly strategy: string;
  readonly persistence: string;
  readonly probe: string;
  readonly nodes: number;
  readonly healthy: number;
  readonly connections: number;
}

/** What a reload changed. Empty lists: nothing. */
export interface ReloadView {
  readonly listeners: NamedChanges;
  readonly pools: NamedChanges;
  /** Paths of other parts of the configuration, such as `rules`. */
  readonly settings: readonly string[];
  /** Listeners whose TLS files were others before. */
  readonly certificates: readonly string[];
}

/** What a reload would find in the configuration, and change. */
export interface ConfigCheck {
  /** A reload would go by it. */
  readonly valid: boolean;
  /** Each a line that says where. */
  readonly problems: readonly string[];
  /** What can hardly be meant, and what expires. */
  readonly warnings: readonly string[];
  readonly listeners: NamedChanges;
  readonly pools: NamedChanges;
  readonly settings: readonly string[];
}

/** One process of a proxy. */
interface ProcessView {
  readonly version: string;
  readonly pid: number;
  /** 1, and one more with each upgrade. */
  readonly generation: number;
}

/** What an upgrade has done. */
export interface UpgradeView {
  readonly from: ProcessView;
  readonly to: ProcessView;
  /** Connections that go on in the new process. */
  readonly connections: number;
  /** Devices that stay with the old process until they leave. */
  readonly left: number;
  /** How long it took. */
  readonly seconds: number;
}

/** The packets of one device, as they pass. It is to be taken from every few seconds, and ended. */
export interface ClientTrace {
  readonly client: Pick<ClientView, 'clientId' | 'connection' | 'proxy' | 'node'>;
  take(): Promise<{
    readonly packets: readonly TracedPacket[];
    readonly dropped: number;
    /** Why nothing more will come; absent while it may. */
    readonly over?: string | undefined;
  }>;
  end(): Promise<void>;
}

/** All throw BreakwaterError with a code of `errors.ts`; its `status` is the HTTP status. */
export interface Backend extends JournalBackend {
  nodes(): readonly NodeView[];
  node(id: string): NodeDetail;
  addNode(create: NodeCreate): Promise<NodeView>;
  patchNode(id: string, patch: NodePatch): Promise<NodeView>;
  removeNode(id: string): Promise<void>;
  drainNode(id: string, request: DrainRequest): Promise<NodeView>;
  drainProgress(id: string): Promise<DrainView>;
  clients(query: ClientQuery): Promise<ClientList>;
  /** A client id, `#17` for the connection of that number, or `#17@edge-1`; of several with one client id the newest. */
  client(asked: string): Promise<ClientDetail>;
  /** Likewise; but of a client id all connections. */
  kickClient(asked: string): Promise<void>;
  /** Resolves when the node serves the device. */
  moveClient(asked: string, node: string): Promise<ClientDetail>;
  /** What passes between a device and its node from now on. */
  trace(asked: string, payloads: boolean): Promise<ClientTrace>;
  /** Newest first. */
  bans(): readonly BanView[];
  /**
   * It holds at every proxy; a ban of the same device or network is replaced.
   * @throws BreakwaterError BAN_LIMIT, STORE_UNAVAILABLE
   */
  ban(request: BanRequest): Promise<BanView>;
  /** @throws BreakwaterError BAN_UNKNOWN, STORE_UNAVAILABLE */
  unban(id: string): Promise<void>;
  rebalance(request: RebalanceRequest): Promise<RebalanceView>;
  rebalanceProgress(): Promise<RebalanceView>;
  /** Reads the configuration again and applies what changed; resolves when all of it holds. */
  reload(): Promise<ReloadView>;
  /** Reads the configuration as a reload does, and changes nothing. */
  check(): Promise<ConfigCheck>;
  /** Replaces this process by a new one of the program as it is installed now; resolves when that is the proxy. */
  upgrade(): Promise<UpgradeView>;
  pools(): readonly PoolView[];
  proxies(): Promise<readonly ProxyView[]>;
  /** Takes a proxy out: it is not ready, and its devices leave. Once more: at another rate. */
  drainProxy(id: string, request: ProxyDrainRequest): Promise<ProxyDrainView>;
  proxyDrainProgress(id: string): Promise<ProxyDrainView>;
  enableProxy(id: string): Promise<void>;
  rebalanceProxies(request: ProxyRebalanceRequest): Promise<ProxyRebalanceView>;
  proxyRebalanceProgress(): Promise<ProxyRebalanceView>;
  status(): StatusView;
  /** Prometheus text exposition. */
  metrics(): Promise<{ contentType: string; body: string }>;
}
