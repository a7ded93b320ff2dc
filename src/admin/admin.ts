/** The HTTP server of the admin API and the dashboard: its bounds, who is let in, and its start and end. */

import type { Server as TlsServer } from 'node:tls';
import Fastify from 'fastify';
import { BreakwaterError, messageOf } from '../base/errors.ts';
import type { Log } from '../base/log.ts';
import { systemClock } from '../base/time.ts';
import type { AdminClient, AdminToken } from '../config/admin.ts';
import type { TlsOptions } from '../engine/tls.ts';
import { type Access, guard, requireSafeBinding } from './access.ts';
import { type Api, type ZodTypes, zodCompilers } from './api.ts';
import { logRequests } from './audit.ts';
import type { Backend } from './backend.ts';
import { banRoutes } from './bans.ts';
import { clientTraceRoutes } from './client-trace.ts';
import { clientRoutes } from './clients.ts';
import { type ConnectionPlaces, Connections } from './connections.ts';
import { dashboardRoutes } from './dashboard.ts';
import { defaultEventLimits, type EventLimits } from './event-hub.ts';
import { eventRoutes } from './events.ts';
import { answerBrokenRequests, answerFailures, answerMalformedPaths } from './failure.ts';
import { incidentRoutes } from './incidents.ts';
import { nodeRoutes } from './nodes.ts';
import { describeApi } from './openapi.ts';
import { poolRoutes } from './pools.ts';
import { proxyRoutes } from './proxies.ts';
import { rebalanceRoutes } from './rebalance.ts';
import { reloadRoutes } from './reload.ts';
import { statusRoutes } from './status.ts';
import { secureContext, secureServer } from './tls.ts';
import { upgradeRoutes } from './upgrade.ts';
import { whoamiRoutes } from './whoami.ts';

export interface AdminOptions {
  /** `http://host:port` or `https://host:port`; port 0 lets the system choose. */
  readonly url: string;
  /** Where that is to be changed: a line of the file, or a flag. */
  readonly place?: string;
  /** Who may use it, as it is now; nobody: loopback only. */
  readonly tokens: () => readonly AdminToken[];
  /** Who shows a certificate in place of a token, as it is now. */
  readonly clients?: () => readonly AdminClient[];
  /** For an `https` address. */
  readonly tls?: TlsOptions | undefined;
  readonly backend: Backend;
  readonly log: Log;
  readonly eventLimits?: Partial<EventLimits>;
  readonly places?: ConnectionPlaces;
}

/** A client id has up to 65,535 bytes [MQTT-1.5.4] and may come percent-encoded in the URL. */
const MAX_CLIENT_ID_LENGTH = 3 * 65_535;
const MAX_HEADER_BYTES = 256 * 1024;
/** The largest request is `POST nodes`: two URLs of 2 kB. */
const MAX_BODY_BYTES = 16 * 1024;
/** From the first byte of a request to its last. */
const REQUEST_TIMEOUT_MS = 10_000;
/** Every event stream holds one; the rest are requests of people, scripts and Prometheus. */
const PLACES: ConnectionPlaces = { max: 256, reserve: 32 };

/** The admin API, the metrics and the dashboard, which answer from `open` on. */
export class Admin {
  private readonly app: Api;
  private readonly place: string;
  private readonly asked: URL;
  private readonly bound: URL;

  private constructor(app: Api, asked: URL, place: string) {
    this.app = app;
    this.asked = asked;
    this.bound = new URL(asked);
    this.place = place;
  }

  /** @throws BreakwaterError ADMIN_TOKEN_REQUIRED, CONFIG_INVALID */
  static async create(options: AdminOptions): Promise<Admin> {
    const url = parseUrl(options.url, options.tls);
    const access = accessOf(options);
    requireSafeBinding(url, access());
    return new Admin(await compose(options, access), url, options.place ?? 'admin.url');
  }

  /** Where it listens, with the port that was chosen; before `open` as it was asked for. */
  get url(): string {
    return this.bound.origin;
  }

  /**
   * Begins to answer.
   * @param inherited the descriptor of a socket that listens there already; absent: the address is bound
   * @throws BreakwaterError ADDRESS_IN_USE, ADDRESS_NOT_AVAILABLE
   */
  async open(inherited?: number): Promise<void> {
    const { app, asked, bound } = this;
    const host = asked.hostname === 'localhost' ? '127.0.0.1' : asked.hostname.replace(/^\[|\]$/g, '');
    const port = Number(asked.port || (asked.protocol === 'https:' ? 443 : 80));
    try {
      const listening = inherited === undefined ? { host, port } : { host, fd: inherited };
      await app.listen(listening); // Node looks for `fd` first, and Fastify hands it on
    } catch (error) {
      await app.close();
      throw bindingError(asked, this.place, error);
    }
    const address = app.server.address();
    if (typeof address === 'object' && address !== null) bound.port = String(address.port);
  }

  /** Of the listening socket, if there is one. */
  get descriptor(): number | undefined {
    const { _handle } = this.app.server as unknown as { _handle?: { readonly fd: number } | null };
    return _handle?.fd;
  }

  /** Nobody connects any more; what is asked already is answered. */
  leave(): void {
    this.app.server.close();
  }

  /** Whoever connects from now on is shown this; who is connected stays. */
  useTls(tls: TlsOptions): void {
    (this.app.server as unknown as TlsServer).setSecureContext(secureContext(tls));
  }

  /** Ends event streams and open requests, and stops. */
  async close(): Promise<void> {
    await this.app.close();
  }
}

function accessOf({ tokens, clients = () => [] }: AdminOptions): () => Access {
  return () => ({ tokens: tokens(), clients: clients() });
}

function createApp(tls: TlsOptions | undefined): Api {
  const options = {
    schemaController: zodCompilers,
    bodyLimit: MAX_BODY_BYTES,
    requestTimeout: REQUEST_TIMEOUT_MS,
    forceCloseConnections: true,
    routerOptions: { maxParamLength: MAX_CLIENT_ID_LENGTH },
    return503OnClosing: false,
    frameworkErrors: answerMalformedPaths,
    clientErrorHandler: answerBrokenRequests,
  };
  const http = { maxHeaderSize: MAX_HEADER_BYTES };
  if (tls === undefined) return Fastify({ ...options, http }).withTypeProvider<ZodTypes>();
  // The routes need not know which of the two servers it is.
  return Fastify({ ...options, https: { ...http, ...secureServer(tls) } }) as unknown as Api;
}

async function compose(
  { backend, tls, log, eventLimits, places = PLACES }: AdminOptions,
  access: () => Access,
): Promise<Api> {
  const app = createApp(tls);
  const connections = new Connections(app.server, places, systemClock);
  answerFailures(app, log);
  app.addHook('onRequest', async (_request, reply) => {
    reply.headers({
      'cache-control': 'no-store',
      'x-content-type-options': 'nosniff',
      'referrer-policy': 'no-referrer',
    });
  });
  app.addHook('onRequest', async (request, reply) => {
    if (request.routeOptions.config?.probe === true || !connections.isReserve(request.socket)) return;
    reply.header('connection', 'close');
    const why = `${places.max} connections are at work: only /livez and /readyz are answered; try again`;
    throw new BreakwaterError('ADMIN_BUSY', why);
  });
  guard(app, access, log);
  logRequests(app, log, (record) => backend.audit(record));
  await describeApi(app);
  nodeRoutes(app, backend);
  clientRoutes(app, backend);
  banRoutes(app, backend);
  clientTraceRoutes(app, backend);
  poolRoutes(app, backend);
  rebalanceRoutes(app, backend);
  reloadRoutes(app, backend);
  upgradeRoutes(app, backend);
  proxyRoutes(app, backend);
  statusRoutes(app, backend);
  whoamiRoutes(app);
  eventRoutes(app, backend, { ...defaultEventLimits, ...eventLimits });
  incidentRoutes(app, backend);
  dashboardRoutes(app);
  return app;
}

function parseUrl(text: string, tls: TlsOptions | undefined): URL {
  const url = URL.canParse(text) ? new URL(text) : undefined;
  const scheme = tls === undefined ? 'http' : 'https';
  if (url?.protocol === `${scheme}:` && url.pathname === '/' && url.username === '' && url.password === '')
    return url;
  throw new BreakwaterError('CONFIG_INVALID', `admin: the address must look like ${scheme}://127.0.0.1:9883`);
}

function bindingError(url: URL, place: string, error: unknown): BreakwaterError {
  const code = (error as NodeJS.ErrnoException).code;
  if (code === 'EADDRINUSE') {
    return new BreakwaterError(
      'ADDRESS_IN_USE',
      `${place}: ${url.host} is in use by another program; stop it, or choose another address`,
      { cause: error },
    );
  }
  return new BreakwaterError(
    'ADDRESS_NOT_AVAILABLE',
    `${place}: cannot listen on ${url.host} (${code ?? messageOf(error)}); choose another address`,
    { cause: error },
  );
}
