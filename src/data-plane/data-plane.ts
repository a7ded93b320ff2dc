import type { EndReason } from '../connection/connection-host.ts';
import type { ListenerSettings, WorkerSettings } from '../data-plane-api/messages.ts';
import type { BoundAddress } from '../engine/engine.ts';
import type { TlsOptions } from '../engine/tls.ts';
import { type Ban, banChange } from '../policy/admission/bans.ts';
import { listeningAt } from './inherited-sockets.ts';
import type { Service, WorkerPoolOptions } from './service.ts';
import { sharedLimiterMemory } from './shared-limits.ts';
import type { WorkerHandle } from './worker-handle.ts';
import { WorkerPool } from './worker-pool.ts';
import type { WorkerProgram } from './worker-program.ts';

/**
 * The threads of which the routing table has counts: the data threads and, behind them, the one for HTTP; and one place more for what the
 * processes before this one have counted.
 */
export function tableThreads(dataThreads: number): number {
  return dataThreads + 2;
}

/**
 * Each request leaves a hundred objects of Node's behind. With the young generation of a data thread a fifth of the CPU
 * went into looking for them; with some more most of them are dead when it looks.
 */
const httpThread: WorkerProgram = {
  script: new URL('../http-proxy/http-worker.js', import.meta.url),
  youngGenerationMb: 16,
};

/**
 * All listeners, whichever threads have them: the data threads those of MQTT, and one thread of its own those of HTTP,
 * which is started with the first of them. Whatever is about devices of MQTT is asked of the data threads only.
 */
export class DataPlane extends WorkerPool {
  private readonly httpOptions: WorkerPoolOptions;
  /** Undefined as long as there was no HTTP listener. */
  private http: WorkerPool | undefined;
  /** Undefined until it starts; then the newest. */
  private httpService: Service | undefined;

  constructor(options: Omit<WorkerPoolOptions, 'shared' | 'program'>) {
    const threads = tableThreads(options.count);
    const limiter = sharedLimiterMemory(threads, options.maxConnections);
    super({ ...options, shared: { first: 0, tableThreads: threads, limiter } });
    this.httpOptions = {
      ...options,
      count: 1,
      shared: { first: options.count, tableThreads: threads, limiter },
      program: httpThread,
    };
  }

  override async start(
    listeners: readonly ListenerSettings[],
    service: Service,
  ): Promise<readonly BoundAddress[]> {
    this.httpService = service;
    return this.bind(listeners, (some) => super.start(some, service));
  }

  override async listen(added: readonly ListenerSettings[]): Promise<readonly BoundAddress[]> {
    return this.bind(added, (some) => super.listen(some));
  }

  /** Binds all or none; addresses are in the order of the listeners. */
  private async bind(
    listeners: readonly ListenerSettings[],
    bindOthers: (some: readonly ListenerSettings[]) => Promise<readonly BoundAddress[]>,
  ): Promise<readonly BoundAddress[]> {
    const others = listeners.filter((listener) => !isHttp(listener));
    const bound = [...(await bindOthers(others))];
    const http = listeners.filter(isHttp);
    const httpBound: BoundAddress[] = [];
    try {
      if (http.length > 0) httpBound.push(...(await this.bindHttp(http)));
    } catch (error) {
      await super.unlisten(others.map(({ index }) => index));
      throw error;
    }
    return listeners.map((listener) => (isHttp(listener) ? httpBound : bound).shift() as BoundAddress);
  }

  private async bindHttp(listeners: readonly ListenerSettings[]): Promise<readonly BoundAddress[]> {
    if (this.http !== undefined) return this.http.listen(listeners);
    if (this.httpService === undefined) throw new Error('listeners come after the start');
    const http = new WorkerPool(this.httpOptions);
    http.bans = this.bans;
    const bound = await http.start(listeners, this.httpService);
    this.http = http;
    return bound;
  }

  override async unlisten(indexes: readonly number[]): Promise<void> {
    await Promise.all([super.unlisten(indexes), this.http?.unlisten(indexes)]);
  }

  override endAt(listener: number, reason: EndReason): void {
    super.endAt(listener, reason);
    this.http?.endAt(listener, reason);
  }

  override async applySettings(
    settings: WorkerSettings,
    listeners: readonly ListenerSettings[],
  ): Promise<void> {
    if (this.httpService !== undefined) this.httpService = { ...this.httpService, settings };
    await Promise.all([
      super.applySettings(settings, listeners),
      this.http?.applySettings(settings, listeners),
    ]);
  }

  /** Whom every thread refuses from now on. */
  applyBans(bans: ReadonlyMap<string, Ban>): void {
    const change = banChange(this.bans, bans);
    this.bans = bans;
    if (this.http !== undefined) this.http.bans = bans;
    if (change !== undefined) for (const thread of this.allAlive) thread.tell({ type: 'bans', ...change });
  }

  override async updateTls(listener: number, tls: TlsOptions): Promise<void> {
    if (this.http?.has(listener)) await this.http.updateTls(listener, tls);
    else await super.updateTls(listener, tls);
  }

  override get threadDeaths(): number {
    return super.threadDeaths + (this.http?.threadDeaths ?? 0);
  }

  override get failingThreads(): readonly number[] {
    return [...super.failingThreads, ...(this.http?.failingThreads ?? [])];
  }

  override async ready(): Promise<void> {
    await Promise.all([super.ready(), this.http?.ready()]);
  }

  override get allAlive(): readonly WorkerHandle[] {
    return [...this.alive, ...(this.http?.alive ?? [])];
  }

  /** The sockets of each listener, by its index. A thread that is being started again is waited for: it has those of the one before. */
  async listening(): Promise<ReadonlyMap<number, readonly number[]>> {
    await this.ready().catch(() => undefined); // those that live have theirs
    return listeningAt(this.allAlive);
  }

  /** The data threads accept nobody for now, or go on. */
  hold(on: boolean): void {
    for (const thread of this.alive) thread.tell({ type: 'hold', on });
  }

  override stopAccepting(how: 'stop' | 'leave' = 'stop'): void {
    super.stopAccepting(how);
    this.http?.stopAccepting(how);
  }

  override async close(): Promise<void> {
    await Promise.all([super.close(), this.http?.close()]);
  }
}

function isHttp({ url }: ListenerSettings): boolean {
  return /^https?:/.test(url);
}
