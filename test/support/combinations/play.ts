import { connect } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import type {
  ClientDetail,
  MovesView,
  NodeView,
  RebalanceView,
  StatusView,
} from '../../../src/admin/backend.ts';
import { parseConfig } from '../../../src/config/load.ts';
import { compileRules, type Decision } from '../../../src/policy/routing/rules.ts';
import { type Breakwater, startBreakwater } from '../breakwater.ts';
import { until } from '../wait.ts';
import { CheckedApi } from './api.ts';
import { Chance } from './chance.ts';
import { type Client, connectClient } from './clients.ts';
import type { Combination, Configuration, ListenerPlan } from './generate.ts';
import { ask, type Place, TOLD_ADDRESS } from './streams.ts';

export interface AttemptOptions {
  /** Threads are ended now and then, as by a fault. */
  readonly faults: boolean;
  /** Commands of the admin API are tried. */
  readonly commands: boolean;
}

/** Of one kind at each listener. */
const CLIENTS = 2;
const PATIENCE_MS = 60_000;
/** Behind the grace: the process, its threads and its store. */
const END_MS = 30_000;
const RELOAD_TRIES = 10;

/** Plays one combination to its end. Rejects with the first thing that is not as it should be. */
export async function play(combination: Combination, manner: AttemptOptions): Promise<void> {
  const player = await Player.start(combination, manner);
  try {
    await player.play();
  } catch (error) {
    throw new Error(
      `${player.where}: ${error instanceof Error ? error.stack : error}\n${player.lastLines()}`,
    );
  } finally {
    await player.close();
  }
}

interface Kept {
  readonly client: Client;
  readonly index: number;
  readonly isRelayed: boolean;
}

class Player {
  where = 'start';
  private readonly combination: Combination;
  private readonly manner: AttemptOptions;
  private readonly chance: Chance;
  private readonly proxy: Breakwater;
  private readonly api: CheckedApi;
  private config: Configuration;
  private decide: (plan: ListenerPlan, clientId: string, sourceAddress: string) => Decision = () => undefined;
  private kept: Kept[] = [];
  private made = 0;
  private killed = 0;
  private reloads = 0;
  private readonly addresses = new Set<string>();

  private get rejected(): string {
    return `rejected-${this.combination.seed}-x`;
  }

  private constructor(
    combination: Combination,
    manner: AttemptOptions,
    proxy: Breakwater,
    config: Configuration,
  ) {
    this.combination = combination;
    this.manner = manner;
    this.chance = new Chance(combination.seed + 0x5eed);
    this.proxy = proxy;
    this.api = new CheckedApi(proxy.adminUrl);
    this.config = config;
    this.use(config);
  }

  static async start(combination: Combination, manner: AttemptOptions): Promise<Player> {
    const [first] = combination.configurations;
    if (first === undefined) throw new Error('nothing to play');
    const proxy = await startBreakwater(first.document, [], { BREAKWATER_TEST_FAULTS: '1' });
    return new Player(combination, manner, proxy, first);
  }

  async play(): Promise<void> {
    await this.step();
    for (const [step, next] of this.combination.configurations.slice(1).entries()) {
      this.where = `reload ${step + 1}`;
      await this.reload(next);
      await this.step();
    }
    this.where = 'stop';
    await this.stop();
  }

  /** The configuration holds from now on. */
  private use(config: Configuration): void {
    this.config = config;
    this.api.token = config.token;
    const { rules, listeners } = parseConfig(JSON.stringify(config.document), 'generated');
    const decide = compileRules(rules);
    this.decide = (plan, clientId, sourceAddress) =>
      decide({
        ...(plan.scheme.startsWith('http') || plan.scheme === 'tcp' ? {} : { clientId }),
        ...{ sourceAddress, listener: listeners[config.listeners.indexOf(plan)]?.url ?? '' },
      });
  }

  private async step(): Promise<void> {
    await this.arrive();
    await this.checkRefusals();
    await this.checkClients();
    await this.api.checkAll();
    if (this.manner.commands) for (let i = 0; i < 2; i++) await this.command();
    if (this.manner.faults) await this.fail();
    this.checkLog();
  }

  // ---- clients ---------------------------------------------------------------------------------------------

  private async places(): Promise<Place[]> {
    const { proxy } = await this.api.get<StatusView>('status');
    return this.config.listeners.map((plan, i) => {
      const url = proxy.listeners[i] ?? '';
      this.addresses.add(url);
      return {
        plan,
        port: Number(new URL(url.replace(/^\w+/, 'http')).port || (plan.scheme === 'http' ? 80 : 0)),
      };
    });
  }

  /** Each listener has its clients. */
  private async arrive(): Promise<void> {
    const places = await this.places();
    await Promise.all(
      places.map(async (place, index) => {
        const missing = CLIENTS - this.kept.filter((kept) => kept.index === index).length;
        for (let i = 0; i < missing; i++) this.kept.push(await this.connect(place, index));
      }),
    );
  }

  private async connect(place: Place, index: number): Promise<Kept> {
    // Brokers are shared by all combinations, and a client id is one device's.
    const id = `${this.combination.seed}-c${index}${this.made % 3 === 0 ? '-ruled' : ''}-${this.made++}`;
    const { plan } = place;
    let lastError: unknown;
    const attempt = async (): Promise<Client | undefined> => {
      try {
        return await connectClient(place, id, this.made % 2 === 0 ? 5 : 4);
      } catch (error) {
        lastError = error;
        if (this.killed > 0) return undefined; // a thread is away for a moment
        throw error;
      }
    };
    const client = await until(attempt, 'it to be served', PATIENCE_MS).catch((error) => {
      throw new Error(`${plan.url} (${id}): ${error.message}; ${lastError}`);
    });
    const decision = this.decide(plan, id, plan.sendsHeader ? TOLD_ADDRESS : '127.0.0.1');
    const ruled = decision !== undefined && 'mode' in decision ? decision.mode : undefined;
    return { client, index, isRelayed: (ruled ?? plan.document.mode) === 'relay' };
  }

  private async checkClients(): Promise<void> {
    await Promise.all(this.kept.map(({ client }) => client.check()));
  }

  /** Who a rule rejects is rejected. */
  private async checkRefusals(): Promise<void> {
    const places = await this.places();
    for (const place of places) {
      const { plan } = place;
      const source = plan.sendsHeader ? TOLD_ADDRESS : '127.0.0.1';
      if (plan.scheme.startsWith('http')) {
        const { status } = await ask(place, '/other');
        if (status !== 200) throw new Error(`${plan.url}/other was answered ${status}`);
      } else if (plan.scheme !== 'tcp') {
        const decision = this.decide(plan, this.rejected, source);
        const isRejected = decision !== undefined && 'reject' in decision;
        const outcome = await connectClient(place, this.rejected, 4).then(
          (client) => {
            client.end();
            return false;
          },
          () => true,
        );
        if (outcome !== isRejected && this.killed === 0)
          throw new Error(
            `${plan.url} ${outcome ? 'rejects' : 'serves'} ${this.rejected}: ${JSON.stringify(decision)}`,
          );
      }
    }
  }

  // ---- reloads ---------------------------------------------------------------------------------------------

  private async reload(next: Configuration): Promise<void> {
    const before = this.config;
    const urls = keysOf(before.listeners);
    this.proxy.rewrite(next.document);
    if (this.manner.faults && this.chance.percent(30)) this.kill(); // at the same time
    await this.reloaded();
    this.reloads++;
    this.use(next);
    const nextUrls = keysOf(next.listeners);
    const kept: Kept[] = [];
    for (const each of this.kept) {
      const index = nextUrls.indexOf(urls[each.index] ?? '');
      const { scheme } = each.client.place.plan;
      if (scheme.startsWith('http'))
        each.client.end(); // each request is a connection
      else if (index < 0) await this.mustEnd(each);
      else if (scheme === 'tcp' && !hasSameNodes(before, next))
        each.client.end(); // its node may be gone, and then it is ended sooner or later
      else if (await this.stays(each)) kept.push({ ...each, index });
    }
    this.kept = kept;
  }

  private async reloaded(): Promise<void> {
    for (let tries = 1; ; tries++) {
      const { status, value } = await this.api.call('POST', '/api/v1/reload');
      if (status === 200) return;
      // A thread that has just died is waited for, though not for ever.
      if (status !== 503 || this.killed === 0 || tries >= RELOAD_TRIES)
        throw new Error(`not reloaded: ${status} ${JSON.stringify(value)}`);
      await sleep(500);
    }
  }

  private async mustEnd({ client }: Kept): Promise<void> {
    await until(() => client.isEnded(), `the end of ${client.id}, whose listener is gone`, PATIENCE_MS);
  }

  /** Those whose listener is still there stay, unless their thread has died. */
  private async stays({ client }: Kept): Promise<boolean> {
    try {
      await client.check();
      return true;
    } catch (error) {
      if (!client.isEnded() || this.killed === 0) throw error;
      return false;
    }
  }

  // ---- commands --------------------------------------------------------------------------------------------

  private async command(): Promise<void> {
    const commands = [this.drain, this.move, this.rebalance, this.kick, this.weigh, this.addAndRemove];
    const command = this.chance.pick(commands);
    const where = this.where;
    this.where += `, ${command.name}`;
    await command.call(this);
    await this.leftBehind();
    await this.arrive();
    await this.checkClients();
    this.where = where;
  }

  /** Connections that a command may have ended. */
  private async leftBehind(): Promise<void> {
    this.kept = this.kept.filter(({ client }) => !client.isEnded());
  }

  private async some(where: (node: NodeView) => boolean): Promise<NodeView | undefined> {
    const nodes = (await this.api.get<NodeView[]>('nodes')).filter(where);
    return nodes.length === 0 ? undefined : this.chance.pick(nodes);
  }

  private async drain(): Promise<void> {
    const nodes = await this.api.get<NodeView[]>('nodes');
    const isOneOfMany = ({ pool }: NodeView) => nodes.filter((other) => other.pool === pool).length > 1;
    const node = await this.some(isOneOfMany);
    if (node === undefined) return;
    const path = `nodes/${encodeURIComponent(node.id)}`;
    await this.done('POST', `${path}/drain`, { rate: 1000 });
    const isOver = async () => (await this.api.get<MovesView>(`${path}/drain`)).state !== 'moving';
    await until(isOver, `the drain of ${node.id}`, PATIENCE_MS);
    await this.done('PATCH', path, { state: 'enabled' });
  }

  private async move(): Promise<void> {
    const client = this.kept.find(
      ({ client, isRelayed }) => /^(mqtt|ws)/.test(client.place.plan.scheme) && !isRelayed,
    );
    if (client === undefined) return;
    const { id } = client.client;
    const { node: from } = await this.api.get<ClientDetail>(`clients/${id}`);
    const nodes = await this.api.get<NodeView[]>('nodes');
    const pool = nodes.find((node) => node.id === from)?.pool;
    const to = nodes.find((node) => node.pool === pool && node.id !== from && node.health !== 'unhealthy');
    if (to === undefined) return;
    // A reload may have given its node another pool than that of the session, which stays in its own.
    const { status, value } = await this.api.call('POST', `/api/v1/clients/${id}/move`, { node: to.id });
    if (status !== 200 && !(status === 409 && this.reloads > 0))
      throw new Error(`move to ${to.id}: ${status} ${JSON.stringify(value)}`);
  }

  private async rebalance(): Promise<void> {
    const { status, value } = await this.api.call('POST', '/api/v1/rebalance', { rate: 1000, tolerance: 0 });
    if (status === 409) return; // only pools that hash
    if (status !== 200) throw new Error(`rebalance: ${status} ${JSON.stringify(value)}`);
    const isOver = async () => (await this.api.get<RebalanceView>('rebalance')).state !== 'moving';
    await until(isOver, 'the rebalance to end', PATIENCE_MS);
  }

  private async kick(): Promise<void> {
    const client = this.kept.find(({ client }) => /^(mqtt|ws)/.test(client.place.plan.scheme))?.client;
    if (client === undefined) return;
    await this.done('DELETE', `clients/${client.id}`);
    await until(() => client.isEnded(), `the end of ${client.id}, which was kicked`, PATIENCE_MS);
  }

  private async weigh(): Promise<void> {
    const node = await this.some(() => true);
    if (node === undefined) return;
    const path = `nodes/${encodeURIComponent(node.id)}`;
    const weight = this.chance.between(1, 100);
    await this.done('PATCH', path, { weight });
    const { weight: now } = await this.api.get<NodeView>(path);
    if (now !== weight) throw new Error(`${node.id} weighs ${now}, not ${weight}`);
  }

  private async addAndRemove(): Promise<void> {
    const node = await this.some(() => true);
    if (node === undefined) return;
    const id = this.chance.pick(['__proto__', 'toLocaleString', 'added']);
    await this.done('POST', 'nodes', { id, url: node.url, pool: node.pool });
    await this.arrive();
    await this.checkClients();
    await this.done('DELETE', `nodes/${id}`);
  }

  private async done(method: string, path: string, body?: object): Promise<void> {
    const { status, value } = await this.api.call(method, `/api/v1/${path}`, body);
    if (status >= 300) throw new Error(`${method} ${path}: ${status} ${JSON.stringify(value)}`);
  }

  // ---- faults ----------------------------------------------------------------------------------------------

  private kill(): void {
    this.killed++;
    this.proxy.kill('SIGPWR');
  }

  /** A thread dies: who was there may be gone, whoever is not goes on, and who comes finds the listener again. */
  private async fail(): Promise<void> {
    this.where += ', fault';
    this.kill();
    const deaths = () => this.proxy.logs().filter(({ msg }) => msg.startsWith('data thread died')).length;
    await until(() => deaths() >= this.killed, 'the log to tell of the death', PATIENCE_MS);
    const checks = this.kept.map(async (kept) => {
      const isHttp = kept.client.place.plan.scheme.startsWith('http');
      if (isHttp)
        await until(
          () =>
            kept.client.check().then(
              () => true,
              () => false,
            ),
          `${kept.client.id}`,
          PATIENCE_MS,
        );
      else
        await kept.client.check().catch((error) => {
          if (!kept.client.isEnded()) throw error;
        });
    });
    await Promise.all(checks);
    await this.leftBehind();
    await this.arrive();
    await this.checkClients();
  }

  private checkLog(): void {
    const expected = [
      ...['data thread died; starting it again', 'a data thread does not answer'],
      ...(this.killed >= 3 ? ['data thread dies again and again: the proxy is not ready'] : []),
      ...['session not moved', 'admin request'],
    ];
    const bad = this.proxy
      .logs()
      .filter(({ level, msg }) => level === 'error' && !expected.includes(msg))
      // Where the thread took its time to come back; it is asked again.
      .filter(({ code }) => code !== 'THREAD_UNAVAILABLE' || this.killed === 0)
      .map((line) => JSON.stringify(line));
    if (bad.length > 0) throw new Error(`the log tells of errors: ${bad.join('\n')}`);
    const deaths = this.proxy.logs().filter(({ msg }) => msg.startsWith('data thread died')).length;
    if (deaths > this.killed)
      throw new Error(`${deaths} threads died, and ${this.killed} were ended by the test`);
  }

  // ---- the end ---------------------------------------------------------------------------------------------

  private async stop(): Promise<void> {
    if (this.chance.percent(50)) await this.leave();
    const { graceMs } = this.config;
    let code: number | string | undefined;
    void this.proxy.exited.then((ended) => {
      code = ended;
    });
    this.proxy.kill('SIGTERM');
    await until(() => code !== undefined, 'the process to end', graceMs + END_MS);
    if (code !== 0) throw new Error(`it ended with ${code}`);
    this.checkLog();
    for (const url of this.addresses) await this.mustBeClosed(url);
  }

  /** When the last client has left, nothing is counted any more. */
  private async leave(): Promise<void> {
    for (const { client } of this.kept) client.end();
    this.kept = [];
    const counts = async (): Promise<number[]> => {
      const { connections } = await this.api.get<StatusView>('status');
      const nodes = await this.api.get<NodeView[]>('nodes');
      return [connections, ...nodes.map((node) => node.connections)];
    };
    let last: number[] = [];
    await until(
      async () => {
        last = await counts();
        return last.every((count) => count === 0);
      },
      'all counts to be 0',
      PATIENCE_MS,
    ).catch((error) => {
      throw new Error(`${error.message}, they are ${last}`);
    });
  }

  private async mustBeClosed(url: string): Promise<void> {
    const { hostname, port } = new URL(url.replace(/^\w+/, 'http'));
    const host = { '[::1]': '::1' }[hostname] ?? '127.0.0.1';
    const isOpen = await new Promise<boolean>((resolve) => {
      const socket = connect({ port: Number(port || 80), host });
      socket.once('connect', () => resolve(true)).once('error', () => resolve(false));
      socket.once('connect', () => socket.destroy());
    });
    if (isOpen) throw new Error(`${url} is still open`);
  }

  lastLines(): string {
    const lines = this.proxy.logs().filter(({ level }) => level !== 'debug');
    return lines
      .slice(-30)
      .map((line) => JSON.stringify(line))
      .join('\n');
  }

  async close(): Promise<void> {
    for (const { client } of this.kept) client.end();
    await this.proxy.stop();
  }
}

/** As the proxy tells listeners apart: by URL, and several of one URL by their order. */
function keysOf(listeners: readonly ListenerPlan[]): string[] {
  return listeners.map(
    ({ url }, i) => `${url} ${listeners.slice(0, i).filter((other) => other.url === url).length}`,
  );
}

function hasSameNodes(before: Configuration, next: Configuration): boolean {
  const nodesOf = ({ document }: Configuration): string => JSON.stringify(document.pools);
  return nodesOf(before) === nodesOf(next);
}
