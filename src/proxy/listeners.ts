/** The listeners of this proxy, as workers have them and as people see them. */

import { BreakwaterError, messageOf } from '../base/errors.ts';
import type { Log } from '../base/log.ts';
import { listenerKeys } from '../config/difference.ts';
import type { DataPlane } from '../data-plane/data-plane.ts';
import { ListenError } from '../data-plane/listen-error.ts';
import type { Service } from '../data-plane/service.ts';
import type { ListenerSettings } from '../data-plane-api/messages.ts';
import type { PoolNumbers } from '../data-plane-api/pool-numbers.ts';
import { MAX_LISTENERS, type TableWriter } from '../data-plane-api/routing-table.ts';
import type { BoundAddress } from '../engine/engine.ts';
import type { TlsListener } from './certificates.ts';
import type { WantedListener } from './listener-tls.ts';

interface ListenersOptions {
  readonly threads: Pick<
    DataPlane,
    'start' | 'ready' | 'listen' | 'unlisten' | 'endAt' | 'devicesAt' | 'listening'
  >;
  readonly table: Pick<TableWriter, 'accepted' | 'clearTraffic'>;
  readonly numbers: PoolNumbers;
  readonly log: Log;
}

interface Listener extends WantedListener {
  readonly key: string;
  readonly index: number;
  /** As bound: 0 in the configuration lets the system choose. */
  readonly port: number;
  /** With this port. */
  readonly url: string;
  /** Connections that were accepted under this index before it was this listener's. */
  readonly acceptedBefore: number;
  /**
   * It was closed to make room for another listener, which could not be bound either: the next reload binds it
   * again.
   */
  readonly isClosed?: boolean;
}

/**
 * The listeners of this proxy, and their indexes in the routing table. An index is given to another listener only when
 * the last device of the former one has left.
 */
export class Listeners {
  private readonly options: ListenersOptions;
  /** In the order of the configuration. */
  private present: readonly Listener[] = [];
  /** By index, including listeners that are gone: their last devices are still reported. */
  private readonly lastAt = new Map<number, Listener>();

  constructor(options: ListenersOptions) {
    this.options = options;
  }

  /** With the ports that were chosen. */
  get urls(): readonly string[] {
    return this.present.map(({ url }) => url);
  }

  /** Connections since the start, also at listeners that are gone. */
  get accepted(): number {
    return sum([...this.lastAt.keys()].map((index) => this.options.table.accepted(index)));
  }

  urlAt(index: number): string {
    return this.lastAt.get(index)?.url ?? '';
  }

  /** With what each is served by. */
  secured(): (TlsListener & { readonly options: WantedListener['tls'] })[] {
    return this.present.map(({ index, config, tls }) => ({ ...config, index, options: tls }));
  }

  /** What is counted by listener. */
  counted(): { readonly index: number; readonly url: string; readonly accepted: number }[] {
    const { table } = this.options;
    return this.present.map(({ index, url, acceptedBefore }) => ({
      ...{ index, url, accepted: table.accepted(index) - acceptedBefore },
    }));
  }

  /** Each with its index. */
  keys(): { readonly key: string; readonly index: number }[] {
    return this.present.map(({ key, index }) => ({ key, index }));
  }

  /** The sockets of each, by its key. */
  async listening(): Promise<{ readonly key: string; readonly descriptors: readonly number[] }[]> {
    const sockets = await this.options.threads.listening();
    return this.present.map(({ key, index }) => {
      return { key, descriptors: sockets.get(index) ?? [] };
    });
  }

  /** The key of the listener that has, or last had, this index. */
  keyAt(index: number): string {
    return this.lastAt.get(index)?.key ?? '';
  }

  /** The index of a listener by its key. */
  indexOf(key: string): number | undefined {
    return this.present.find((listener) => listener.key === key)?.index;
  }

  /**
   * @param inherited sockets that listen already, by the key of the listener
   * @throws BreakwaterError as `WorkerPool.start`
   */
  async start(
    wanted: readonly WantedListener[],
    service: Service,
    inherited: ReadonlyMap<string, readonly number[]>,
  ): Promise<void> {
    const added = this.place(wanted);
    try {
      const bound = await this.options.threads.start(
        added.map((listener) => ({ ...this.settingsOf(listener), inherited: inherited.get(listener.key) })),
        service,
      );
      this.present = this.enter(added, bound);
    } catch (error) {
      throw this.placed(error, added, []);
    }
  }

  /**
   * Binds what is new, all of it or nothing; what remains goes on. Those that are gone have no socket any more when this
   * resolves: `leave` then ends their devices.
   * @throws BreakwaterError ADDRESS_IN_USE and others of `WorkerPool.listen`; then everything is as it was
   */
  async change(
    wanted: readonly WantedListener[],
  ): Promise<{ readonly settings: readonly ListenerSettings[]; leave(): Promise<void> }> {
    const { threads, log } = this.options;
    const before = this.present;
    const placed = this.place(wanted);
    const stays = ({ key }: Listener) =>
      before.some((listener) => listener.key === key && !listener.isClosed);
    const added = placed.filter((listener) => !stays(listener));
    const gone = before.filter(({ key }) => !placed.some((listener) => listener.key === key));
    const inTheWay = gone.filter(({ port }) => added.some((listener) => listener.port === port));
    if (added.length > 0) await threads.ready(); // before anything is closed
    await threads.unlisten(inTheWay.map(({ index }) => index));
    try {
      const bound = await this.bind(added, inTheWay);
      this.present = placed.map((listener) => bound.find(({ key }) => key === listener.key) ?? listener);
    } catch (error) {
      await this.bindAgain(inTheWay);
      throw error;
    }
    return {
      settings: this.present.map((listener) => this.settingsOf(listener)),
      leave: async () => {
        await threads.unlisten(gone.map(({ index }) => index));
        for (const { index, url } of gone) {
          log.info({ listener: url, devices: threads.devicesAt(index) }, 'no longer listening');
          threads.endAt(index, 'listener-removed');
        }
      },
    };
  }

  /** All or none. Nobody is accepted before the threads know the pools and rules of the new configuration. */
  private async bind(added: readonly Listener[], closed: readonly Listener[]): Promise<Listener[]> {
    const settings = added.map((listener) => ({ ...this.settingsOf(listener), isHeld: true }));
    try {
      return this.enter(added, await this.options.threads.listen(settings));
    } catch (error) {
      throw this.placed(error, added, closed);
    }
  }

  /** The same failure with where the address comes from, and who has it. */
  private placed(error: unknown, added: readonly Listener[], closed: readonly Listener[]): unknown {
    if (!(error instanceof ListenError)) return error;
    const listener = added.find(({ index }) => index === error.listener);
    if (listener === undefined) return error;
    const { place, port } = listener;
    const own = this.present.find(
      (other) => other.port === port && !other.isClosed && !closed.includes(other),
    );
    const isOurs = error.code === 'ADDRESS_IN_USE' && own !== undefined;
    const why = isOurs ? `port ${port} is that of ${own.url} of this proxy; choose another` : error.message;
    return new BreakwaterError(error.code, `${place}: ${why}`);
  }

  /** The listeners of before, with the devices that they have. */
  private async bindAgain(closed: readonly Listener[]): Promise<void> {
    const { threads, log } = this.options;
    try {
      await threads.listen(closed.map((listener) => this.settingsOf(listener)));
    } catch (error) {
      this.present = this.present.map((listener) =>
        closed.includes(listener) ? { ...listener, isClosed: true } : listener,
      );
      const urls = closed.map(({ url }) => url);
      log.error(
        { listeners: urls, error: messageOf(error) },
        'listeners could not be bound again: reload once more',
      );
    }
  }

  /** Every listener with its index: the one that it has, or one that is free. */
  private place(wanted: readonly WantedListener[]): Listener[] {
    const keys = listenerKeys(wanted.map(({ config }) => config));
    const taken = new Set(this.present.map(({ index }) => index));
    return wanted.map(({ config, tls, place }, i) => {
      const key = keys[i] ?? config.url;
      const known = this.present.find((listener) => listener.key === key);
      if (known !== undefined) return { ...known, config, tls, place };
      const index = this.freeIndex(taken);
      taken.add(index);
      const { table } = this.options;
      table.clearTraffic(index);
      const acceptedBefore = table.accepted(index);
      return { config, tls, place, key, index, port: config.port, url: config.url, acceptedBefore };
    });
  }

  private freeIndex(taken: ReadonlySet<number>): number {
    const { threads } = this.options;
    for (let index = 0; index < MAX_LISTENERS; index++) {
      if (!taken.has(index) && threads.devicesAt(index) === 0) return index;
    }
    throw new BreakwaterError(
      'TABLE_FULL',
      `no room for another listener: at most ${MAX_LISTENERS}, those included that devices are still leaving; try again`,
    );
  }

  private settingsOf({ index, config, tls, port }: Listener): ListenerSettings {
    const { url, host, mode, pool, limits, websocket, opaque, proxyProtocol } = config;
    return {
      index,
      url,
      host,
      port,
      mode,
      pool: this.options.numbers.of(pool),
      limits,
      tls,
      websocket,
      opaque,
      proxyProtocol,
      trustedProxies: config.trustedProxies,
      neighbours: config.neighbours,
    };
  }

  private enter(added: readonly Listener[], bound: readonly BoundAddress[]): Listener[] {
    return added.map((listener, i) => {
      const port = bound[i]?.port ?? listener.port;
      const url = withPort(listener.config.url, port);
      const entered = { ...listener, port, url, isClosed: false };
      this.lastAt.set(listener.index, entered);
      this.options.log.info({ listener: listener.config.url, url }, 'listening');
      return entered;
    });
  }
}

function sum(counts: readonly number[]): number {
  return counts.reduce((total, count) => total + count, 0);
}

function withPort(url: string, port: number): string {
  return url.replace(/:\d+(?=\/|$)/, `:${port}`);
}
