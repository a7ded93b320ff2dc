import { BreakwaterError } from '../base/errors.ts';
import { sharedClock, systemClock } from '../base/time.ts';
import type { EndReason } from '../connection/connection-host.ts';
import type {
  Accepted,
  Command,
  ListenerSettings,
  Report,
  Verdict,
  WorkerSettings,
} from '../data-plane-api/messages.ts';
import { closeLeft, createDescriptors } from '../engine/descriptors.ts';
import type { BoundAddress } from '../engine/engine.ts';
import type { TlsOptions, UpstreamTls } from '../engine/tls.ts';
import type { Ban } from '../policy/admission/bans.ts';
import { forgetThread, type LimiterMemory } from '../policy/admission/connection-limiter.ts';
import {
  createReconnectThrottleMemory,
  type ReconnectThrottleMemory,
} from '../policy/admission/reconnect-throttle.ts';
import { haveDone, settleAll } from './ask-workers.ts';
import { awaitThreads, beingStarted } from './await-threads.ts';
import { withSettings, withTls } from './bound-listeners.ts';
import { createDeviceOrders } from './device-orders.ts';
import { inheritedShares } from './inherited-sockets.ts';
import type { Left } from './left-behind.ts';
import { orderAgain, RecentOrders } from './recent-orders.ts';
import { Restarts, STEADY_MS } from './restarts.ts';
import type { Service, WorkerPoolOptions } from './service.ts';
import { randomSeed, sharedLimiterMemory } from './shared-limits.ts';
import { Survivors } from './survivors.ts';
import { REQUEST_TIMEOUT_MS, WorkerHandle } from './worker-handle.ts';

/** The data threads as the main thread sees them. */

/** Starts the data threads, speaks to them, starts again one that dies. */
export class WorkerPool {
  readonly orders = new RecentOrders(sharedClock);
  readonly devices = createDeviceOrders(
    () => this.alive.filter(hasDevices),
    () => this.allAlive.filter(hasDevices),
    this.orders,
    () => this.awaited,
  );
  private readonly options: WorkerPoolOptions;
  private readonly limiter: LimiterMemory;
  readonly reconnectThrottle: ReconnectThrottleMemory;
  /** By id; threads begin with them. */
  bans: ReadonlyMap<string, Ban> = new Map();
  /** By number; undefined while a thread is dead. */
  private readonly threads: (WorkerHandle | undefined)[] = [];
  /** As they are bound, for threads that start again. */
  private listeners: readonly ListenerSettings[] = [];
  /** Undefined until they start. */
  private service: Service | undefined;
  private readonly restarts = new Restarts(systemClock);
  private readonly survivors = new Survivors({
    orders: this.orders,
    listeners: () => this.listeners,
    living: () => this.alive.find(({ listens }) => listens),
    // One that has died, or cannot be started, is started again.
    isAwaited: (place, thread) => this.accepting && (!thread || this.threads[place] !== thread),
    refused: (why) => this.service?.onRefused(why),
    close: closeLeft,
  });
  private verbose = true;
  private accepting = true;
  private closing: Promise<void> | undefined;

  constructor(options: WorkerPoolOptions) {
    this.options = options;
    this.reconnectThrottle = createReconnectThrottleMemory(randomSeed(), options.reconnects);
    this.limiter = options.shared?.limiter ?? sharedLimiterMemory(options.count, options.maxConnections);
  }

  /**
   * Starts every thread and binds the listeners on each. A port 0 is chosen by the first thread and shared.
   * When one thread cannot, all are closed again.
   * @throws BreakwaterError ADDRESS_IN_USE, ADDRESS_NOT_AVAILABLE
   */
  async start(listeners: readonly ListenerSettings[], service: Service): Promise<readonly BoundAddress[]> {
    this.service = service;
    const { count } = this.options;
    const [first = 0, ...others] = Array.from({ length: count }, (_, thread) => thread);
    const share = inheritedShares(listeners, count);
    try {
      const alone = share(listeners, 0).map((listener) => ({ ...listener, isFirst: true }));
      const bound = await this.startThread(first, () => alone, service);
      this.listeners = listeners.map((listener, i) => ({
        ...listener,
        port: bound[i]?.port ?? listener.port,
        inherited: undefined,
      }));
      const shares = others.map((thread) => share(this.listeners, thread));
      await Promise.all(others.map((thread, i) => this.startThread(thread, () => shares[i] ?? [], service)));
      return bound;
    } catch (error) {
      await this.close();
      throw error;
    }
  }

  /**
   * Rejects, once the thread is gone, when it ends before it listens.
   * @param listeners asked for when the thread is ready for them: a reload may have changed them meanwhile
   */
  private startThread(
    thread: number,
    listeners: () => readonly ListenerSettings[],
    { settings, onEvents, onFault }: Service,
  ): Promise<readonly BoundAddress[]> {
    const { engine, spareEngine, table, count, shared, program } = this.options;
    const { limiter, reconnectThrottle } = this;
    const number = this.numberOf(thread);
    const tableThreads = shared?.tableThreads ?? count;
    return new Promise((resolve, reject) => {
      const started = new WorkerHandle(
        {
          ...{ thread: number, threads: count, tableThreads, table, limiter },
          ...{ reconnectThrottle, engine, spareEngine, settings, bans: [...this.bans.values()] },
          descriptors: engine !== 'node' ? createDescriptors() : undefined,
        },
        {
          onReport: (report) => {
            if (report.type === 'events') onEvents(report.events, number);
            else if (report.type === 'fault') onFault(number, report);
            else if (report.type === 'ready') {
              started.tell({ type: 'verbose', on: this.verbose });
              started.begin(this.survivors.inherit(thread, started, listeners())).then((bound) => {
                this.lives(thread, started);
                resolve(bound);
              }, reject);
            }
          },
          onExit: (failure, hasListened, left) => {
            this.threads[thread] = undefined;
            if (hasListened) this.died(thread, failure, { ...left, listeners: this.listeners }, started);
            else reject(failure);
          },
        },
        program,
      );
      this.threads[thread] = started;
    });
  }

  /** The number of a worker in the routing table and in reports. Elsewhere workers are known by their place in this set. */
  private numberOf(thread: number): number {
    return (this.options.shared?.first ?? 0) + thread;
  }

  private lives(thread: number, handle: WorkerHandle): void {
    this.restarts.lives(thread);
    if (!this.accepting) handle.tell({ type: 'leave' }); // it was being started
    void this.survivors.adopt(thread, handle);
    const settle = (): void => {
      if (this.threads[thread] === handle && this.restarts.settle(thread))
        this.service?.onFailing(this.numberOf(thread), false);
    };
    setTimeout(settle, STEADY_MS).unref();
  }

  private died(thread: number, error: Error, left?: Left, handle?: WorkerHandle): void {
    const number = this.numberOf(thread);
    forgetThread(this.limiter, number);
    if (this.closing !== undefined) return left && this.survivors.endAll(left);
    const { devices = this.survivors.at(thread) } = left ?? {};
    const survivors = [...devices, ...(handle?.offered ?? [])];
    const death = this.restarts.died(thread, survivors.length > 0);
    const settle = this.service?.onDeath(number, error, death.deaths, survivors);
    if (handle !== undefined && settle !== undefined) this.survivors.offer(handle, settle);
    if (left !== undefined && settle !== undefined) this.survivors.keep(thread, left, settle);
    if (this.restarts.hasBegunToFail(death)) this.service?.onFailing(number, true);
    if (this.accepting) setTimeout(() => this.restart(thread), death.delayMs).unref();
    this.survivors.settle(thread, death.mayLeave, left !== undefined && this.accepting);
  }

  /** Deaths of threads since the start. */
  get threadDeaths(): number {
    return this.restarts.total;
  }

  /** Devices of dead threads that no other has yet. */
  get awaited(): number {
    return this.survivors.count;
  }

  /** Threads that die again and again. */
  get failingThreads(): readonly number[] {
    return this.restarts.failing.map((thread) => this.numberOf(thread));
  }

  private restart(thread: number): void {
    const { service } = this;
    if (this.closing !== undefined || !this.accepting || service === undefined) return;
    this.startThread(thread, () => this.listeners, service).catch((error: Error) => this.died(thread, error));
  }

  /**
   * Another process has what this thread has offered, but those at these places: they go on at the thread, or at the next.
   * @param heard the number of the last order before they stood still
   */
  given(handle: WorkerHandle, kept: readonly number[] | 'all', heard = this.orders.last): void {
    const place = handle.number - this.numberOf(0);
    if (!this.survivors.given(place, handle, kept, heard)) {
      handle.given(kept);
      return orderAgain([handle], this.orders.since(heard));
    }
    const next = this.threads[place];
    if (next?.listens) void this.survivors.adopt(place, next);
    else this.survivors.settle(place, true, this.accepting);
  }

  /** Ends a thread, by its number in the routing table, with all that it carries. */
  endThread(number: number, why: string): void {
    this.allAlive.find((thread) => thread.number === number)?.end(why);
  }

  private tellAll(command: Command): void {
    for (const thread of this.alive) thread.tell(command);
  }

  get alive(): WorkerHandle[] {
    return this.threads.filter((thread) => thread !== undefined);
  }

  /** Those too that serve HTTP. */
  get allAlive(): readonly WorkerHandle[] {
    return this.alive;
  }

  /**
   * Binds further listeners, on every thread or on none; those that are `isHeld` accept from `applySettings` on. A port 0 is
   * chosen by the first thread and shared.
   * @throws BreakwaterError ADDRESS_IN_USE, ADDRESS_NOT_AVAILABLE, TLS_INVALID, THREAD_UNAVAILABLE
   */
  async listen(added: readonly ListenerSettings[]): Promise<readonly BoundAddress[]> {
    if (added.length === 0) return [];
    await this.ready();
    const { alive } = this;
    const [first, ...others] = alive;
    if (first === undefined) throw beingStarted();
    const indexes = added.map(({ index }) => index);
    try {
      const bound = await first.listen(added.map((listener) => ({ ...listener, isFirst: true })));
      const shared = added.map((listener, i) => ({ ...listener, port: bound[i]?.port ?? listener.port }));
      await Promise.all(others.map((thread) => thread.listen(shared)));
      if (alive.some((thread, i) => this.threads[i] !== thread))
        throw new BreakwaterError('THREAD_UNAVAILABLE', 'a data thread died meanwhile; try again');
      this.listeners = [...this.listeners, ...shared.map((each) => ({ ...each, isHeld: false }))];
      return bound;
    } catch (error) {
      await this.unlisten(indexes);
      throw error;
    }
  }

  /**
   * Resolves when every thread listens; one that has died is waited for.
   * @throws BreakwaterError THREAD_UNAVAILABLE where that takes long
   */
  ready(): Promise<void> {
    return awaitThreads(
      () => this.isWhole,
      () => this.closing === undefined && this.accepting,
    );
  }

  private get isWhole(): boolean {
    const { alive } = this;
    return alive.length === this.options.count && alive.every(({ listens }) => listens);
  }

  /** Closes listeners on every thread; their connections go on. */
  async unlisten(indexes: readonly number[]): Promise<void> {
    this.listeners = this.listeners.filter(({ index }) => !indexes.includes(index));
    await haveDone(this.alive, (request) => ({ type: 'unlisten', request, listeners: indexes }));
  }

  has(listener: number): boolean {
    return this.listeners.some(({ index }) => index === listener);
  }

  /** Ends the devices of a listener. */
  endAt(listener: number, reason: EndReason): void {
    this.tellAll({ type: 'endAll', reason, listener });
  }

  /** Devices that a listener has, over all threads; its index is free when there are none. */
  devicesAt(listener: number): number {
    return this.limiter.listenerCounts.reduce((sum, counts) => sum + (counts[listener] ?? 0), 0);
  }

  /** Swaps what every thread goes by, and what becomes of the devices of listeners; resolves when all have it. */
  async applySettings(settings: WorkerSettings, listeners: readonly ListenerSettings[]): Promise<void> {
    if (this.service === undefined) return; // they start by what holds then
    this.service = { ...this.service, settings };
    this.listeners = withSettings(this.listeners, listeners);
    const command = { type: 'settings', settings, listeners: this.listeners } as const;
    await haveDone(this.alive, (request) => ({ ...command, request }));
  }

  /**
   * Has links to the nodes of a pool, by its number, speak TLS so.
   * @throws BreakwaterError TLS_INVALID
   */
  async updateUpstreamTls(pool: number, tls: UpstreamTls): Promise<void> {
    if (this.service === undefined) return;
    const upstreamTls = [...this.service.settings.upstreamTls];
    upstreamTls[pool] = tls;
    await this.applySettings({ ...this.service.settings, upstreamTls }, []);
  }

  /** Asks every thread to look whether the nodes of its sessions still answer. */
  watchNodes(): void {
    this.tellAll({ type: 'watch' });
  }

  /** Resolves when every thread has told what is in its sockets now, as far as it can. */
  settled(): Promise<void> {
    return settleAll(() => this.alive);
  }

  /** Tells every thread whether a node is gone. */
  judge(verdict: Verdict): void {
    this.tellAll({ type: 'verdict', verdict });
  }

  /** Tells a thread that the broker has accepted a newer connection than those of its own until `sinceMs`. */
  supersede(thread: number, accepted: Accepted): void {
    this.threads[thread]?.tell({ type: 'superseded', ...accepted });
    this.survivors.superseded(accepted, thread);
  }

  /** The same to all threads: the newer one is another proxy's. */
  supersedeAll(accepted: Accepted): void {
    this.tellAll({ type: 'superseded', ...accepted });
    this.survivors.superseded(accepted);
  }

  /** Answers a thread's question where a device was served last. */
  recalled(thread: number, request: number, node: string | undefined): void {
    this.threads[thread]?.tell({ type: 'recalled', request, node });
  }

  /** Answers a connection of a thread what is remembered of its session. */
  recalledSession(thread: number, connection: number, subscriptions: string): void {
    this.threads[thread]?.tell({ type: 'session-recalled', connection, subscriptions });
  }

  /**
   * Has every thread shake hands at a listener by these options from now on, also those that are started again.
   * @throws BreakwaterError TLS_INVALID
   */
  async updateTls(listener: number, tls: TlsOptions): Promise<void> {
    const before = this.listeners.find(({ index }) => index === listener)?.tls;
    this.listeners = withTls(this.listeners, listener, tls); // a thread that is being started begins with it
    type Updated = Extract<Report, { type: 'tlsUpdated' }>;
    const ask = (request: number): Command => ({ type: 'updateTls', request, listener, tls });
    const bad = (await haveDone<Updated>(this.alive, ask)).find(({ problem }) => problem !== undefined);
    if (bad === undefined) return;
    this.listeners = withTls(this.listeners, listener, before);
    throw new BreakwaterError('TLS_INVALID', `${bad.problem}`);
  }

  /** Whether each placed, ended and rejected device is reported. */
  setVerbose(on: boolean): void {
    if (on === this.verbose) return;
    this.verbose = on;
    this.tellAll({ type: 'verbose', on });
  }

  /** A thread that dies from now on is not started again: there is nothing to accept. */
  stopAccepting(how: 'stop' | 'leave' = 'stop'): void {
    this.accepting = false;
    this.tellAll({ type: how });
    this.survivors.noneIsStarted((place) => this.threads[place] !== undefined);
  }

  /** Ends every connection in order, and then the threads. */
  close(): Promise<void> {
    this.closing ??= this.closeAll();
    return this.closing;
  }

  private async closeAll(): Promise<void> {
    const { alive } = this;
    this.survivors.endAll();
    this.tellAll({ type: 'endAll', reason: 'shutdown' });
    this.tellAll({ type: 'close' });
    const late = setTimeout(() => {
      for (const thread of alive) thread.end('it did not end in time');
    }, REQUEST_TIMEOUT_MS);
    await Promise.all(alive.map(({ exited }) => exited));
    clearTimeout(late);
  }
}

/** One that is being started has none, and could not answer. */
const hasDevices = ({ listens }: WorkerHandle): boolean => listens;
