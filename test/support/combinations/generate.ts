import { parseConfig } from '../../../src/config/load.ts';
import { refusals } from '../../../src/policy/routing/rules.ts';
import { linuxEngines } from '../linux-engines.ts';
import { Chance } from './chance.ts';
import type { NodeServer, Protocol, Surroundings } from './surroundings.ts';

export type Scheme = 'mqtt' | 'mqtts' | 'ws' | 'wss' | 'http' | 'https' | 'tcp';

/** A listener as it is configured, and what its clients must know. */
export interface ListenerPlan {
  readonly scheme: Scheme;
  readonly url: string;
  readonly host: string;
  readonly path: string;
  /** Clients begin with a PROXY protocol header. */
  readonly sendsHeader: boolean;
  /** Of `tcp`: TLS passes through to the nodes. */
  readonly passesTls: boolean;
  /** What stands in the file. */
  readonly document: Readonly<Record<string, unknown>>;
}

export interface Configuration {
  readonly document: Readonly<Record<string, unknown>>;
  readonly listeners: readonly ListenerPlan[];
  readonly token: string | undefined;
  readonly graceMs: number;
}

/** A proxy's life: it starts by the first configuration and is reloaded to each of the others. */
export interface Combination {
  readonly seed: number;
  readonly engine: string;
  readonly store: string;
  readonly configurations: readonly Configuration[];
}

export interface Wishes {
  readonly reloads: number;
  /** Ports that are this combination's. */
  readonly ports: readonly number[];
}

const schemes: readonly Scheme[] = ['mqtt', 'mqtts', 'ws', 'wss', 'http', 'https', 'tcp'];
/** Legal, and a trap for whoever keeps names in plain objects, or reads numbers where names are meant. */
const oddNames = [
  ...['constructor', 'hasOwnProperty', 'toString', 'valueOf', 'isPrototypeOf', 'prototype', 'then'],
  ...['length', 'name', 'undefined', 'null', 'true', 'NaN', '0', '1e3', '0.0', ':1', 'a.b:c@d-e_f'],
  'x'.repeat(64),
];

export function protocolOf(scheme: Scheme, passesTls: boolean): Protocol {
  if (scheme === 'tcp') return passesTls ? 'TLS' : 'TCP';
  return scheme.startsWith('http') ? 'HTTP' : 'MQTT';
}

/** What holds over all reloads of one proxy. */
interface Fixed {
  readonly document: Readonly<Record<string, unknown>>;
  readonly nodeIds: Readonly<Record<Protocol, readonly string[]>>;
  readonly poolNames: Readonly<Record<Protocol, readonly string[]>>;
}

export function generate(seed: number, surroundings: Surroundings, wishes: Wishes): Combination {
  const chance = new Chance(seed);
  const engine = chance.pick(['epoll', linuxEngines.at(-1) ?? 'epoll', 'node', 'node', 'auto']);
  const store = chance.pick(['memory', 'redis']);
  const fixed = fixedParts(chance, engine, store, surroundings);
  const configurations: Configuration[] = [];
  for (let step = 0; step <= wishes.reloads; step++) {
    const next = new Writer(chance, surroundings, fixed, wishes.ports).configuration(configurations.at(-1));
    configurations.push(next);
    parseConfig(JSON.stringify(next.document), `combination ${seed}, configuration ${step}`);
  }
  return { seed, engine, store, configurations };
}

function fixedParts(chance: Chance, engine: string, store: string, { redisUrl }: Surroundings): Fixed {
  const names = chance.shuffle(oddNames);
  const some = (prefix: string, count: number): string[] =>
    Array.from({ length: count }, (_, i) =>
      chance.percent(60) ? (names.pop() ?? `${prefix}${i}`) : `${prefix}${i}`,
    );
  const each = <T>(make: (protocol: Protocol) => T): Record<Protocol, T> => ({
    ...{ MQTT: make('MQTT'), HTTP: make('HTTP'), TCP: make('TCP'), TLS: make('TLS') },
  });
  const poolNames = each((protocol) => some(`${protocol.toLowerCase()}-pool-`, 2));
  const nodeNames = chance.shuffle(oddNames);
  const nodeIds = each((protocol) =>
    [0, 1, 2].map((i) => (chance.percent(60) ? (nodeNames.pop() ?? `${protocol}${i}`) : `${protocol}${i}`)),
  );
  const threads = engine === 'node' ? chance.pick([1, 'auto']) : chance.pick([1, 2, 3, 'auto']);
  const shared = { store, url: redisUrl, heartbeat: chance.pick([0.2, 1]) };
  return {
    document: {
      cluster: `${chance.pick(oddNames).slice(0, 40)}.${chance.int(1e9)}`,
      proxy: { engine, threads, ...chance.maybe(60, { id: chance.pick(oddNames) }) },
      membership: store === 'redis' ? shared : { store },
    },
    nodeIds,
    poolNames,
  };
}

/** Writes one configuration. */
class Writer {
  private readonly chance: Chance;
  private readonly surroundings: Surroundings;
  private readonly fixed: Fixed;
  private readonly freePorts: number[];
  private readonly usedIds = new Set<string>();

  constructor(chance: Chance, surroundings: Surroundings, fixed: Fixed, ports: readonly number[]) {
    this.chance = chance;
    this.surroundings = surroundings;
    this.fixed = fixed;
    this.freePorts = chance.shuffle(ports);
  }

  configuration(before: Configuration | undefined): Configuration {
    const { chance, fixed } = this;
    const listeners = this.listeners(before?.listeners ?? []);
    const pools = this.pools(listeners);
    const token = chance.percent(20) ? `secret-${chance.int(1000)}` : undefined;
    const grace = chance.pick([0, 0.5]);
    const level =
      before === undefined ? chance.pick(['info', 'debug']) : chance.pick(['debug', 'info', 'warn', 'error']);
    const document = {
      ...fixed.document,
      listeners: listeners.map((plan) => plan.document),
      pools,
      ...chance.maybe(70, { rules: this.rules(listeners, pools) }),
      limits: {
        shutdownGrace: grace,
        holdBack: { after: 1000 },
        ...chance.maybe(20, { maxConnections: chance.pick([500, 20_000]) }),
        ...chance.maybe(20, { http: { maxHeadSize: chance.pick([4096, 65_536]) } }),
        ...chance.maybe(20, { refusalsTold: chance.pick([0, 100]) }),
        ...chance.maybe(20, { connectRate: 1000, maxConnectionsPerListener: 400 }),
      },
      admin: { url: 'http://127.0.0.1:0', ...(token && { token }) },
      log: { level, format: 'json' },
    };
    return { document, listeners, token, graceMs: grace * 1000 };
  }

  private listeners(before: readonly ListenerPlan[]): ListenerPlan[] {
    const { chance } = this;
    const kept = before.filter(() => chance.percent(60));
    for (const { url } of kept) {
      const at = this.freePorts.indexOf(Number(new URL(url.replace(/^\w+/, 'http')).port || 80));
      if (at >= 0) this.freePorts.splice(at, 1);
    }
    const added = Array.from({ length: chance.between(kept.length === 0 ? 1 : 0, 3) }, () => this.listener());
    return chance.shuffle([...kept.map((plan) => this.again(plan)), ...added]);
  }

  /** The same listener, whose pool and manners may be others. */
  private again(plan: ListenerPlan): ListenerPlan {
    return this.written(plan.url, plan.scheme, plan.host, plan.path, plan.passesTls);
  }

  private listener(): ListenerPlan {
    const { chance } = this;
    const scheme = chance.pick(schemes);
    const port = chance.percent(30) ? 0 : (this.freePorts.pop() ?? 0);
    const host = chance.pick(['127.0.0.1', '127.0.0.1', '0.0.0.0', '[::1]', '[::]', 'localhost']);
    const path = scheme.startsWith('ws') ? chance.pick(['/mqtt', '/', '/plant/a']) : '';
    const url = `${scheme}://${host}:${port}${path}`;
    return this.written(url, scheme, host, path, scheme === 'tcp' && chance.percent(50));
  }

  private written(url: string, scheme: Scheme, host: string, path: string, passesTls: boolean): ListenerPlan {
    const { chance, surroundings, fixed } = this;
    const protocol = protocolOf(scheme, passesTls);
    const { certFile: cert, keyFile: key } = surroundings.certificate;
    const isSecure = ['mqtts', 'wss', 'https'].includes(scheme);
    const clientAuth = chance.pick(['none', 'request']);
    const proxyProtocol = chance.pick(['off', 'off', 'off', 'accept', 'require']);
    const trustedProxies = ['127.0.0.0/8', '::1'];
    const document = {
      url,
      pool: chance.pick(fixed.poolNames[protocol]),
      ...(isSecure && {
        tls: { cert, key, ...(clientAuth === 'request' && { clientAuth, clientCa: surroundings.caFile }) },
      }),
      ...(protocol === 'MQTT' && chance.maybe(50, { mode: chance.pick(['session', 'relay']) })),
      ...(passesTls && { passthrough: 'tls' }),
      ...(proxyProtocol !== 'off' && { proxyProtocol, trustedProxies }),
      ...chance.maybe(20, { maxConnections: 300 }),
    };
    return { scheme, url, host, path, passesTls, sendsHeader: proxyProtocol === 'require', document };
  }

  /** Those that listeners lead to, and sometimes others. */
  private pools(listeners: readonly ListenerPlan[]): Record<string, object> {
    const { chance, fixed } = this;
    const needed = new Map(
      listeners.map((plan) => [String(plan.document.pool), protocolOf(plan.scheme, plan.passesTls)]),
    );
    for (const protocol of ['MQTT', 'HTTP', 'TCP', 'TLS'] as const)
      for (const name of fixed.poolNames[protocol]) if (chance.percent(25)) needed.set(name, protocol);
    const entries = chance
      .shuffle([...needed])
      .map(([name, protocol]) => [name, this.pool(protocol)] as const);
    return Object.fromEntries(entries);
  }

  private pool(protocol: Protocol): object {
    const { chance, surroundings, fixed } = this;
    const isMqtt = protocol === 'MQTT';
    const nodes = chance
      .sample([0, 1, 2], chance.between(1, 3))
      .map((index) =>
        this.node(fixed.nodeIds[protocol][index] ?? '', surroundings.servers[protocol][index] ?? []),
      );
    const probes = { MQTT: ['tcp', 'mqtt'], HTTP: ['tcp', 'http'], TCP: ['tcp'], TLS: ['tcp'] }[protocol];
    const persistences = {
      MQTT: [{ by: 'none' }, { by: 'client-id', ttl: 60 }],
      HTTP: [{ by: 'none' }, { by: 'cookie' }, { by: 'cookie', mode: 'rewrite', name: 'SESSION' }],
      TCP: [{ by: 'none' }],
      TLS: [{ by: 'none' }],
    }[protocol];
    const tls = chance.pick([{ ca: surroundings.caFile }, { verify: false }]);
    return {
      strategy: chance.pick([
        'round-robin',
        'least-connections',
        'source-hash',
        ...(isMqtt ? ['client-id-hash'] : []),
      ]),
      persistence: chance.pick(persistences),
      slowStart: chance.pick([0, 1, 10]),
      health: { probe: chance.pick(probes), interval: chance.between(2, 5) },
      upstream: {
        tls,
        ...chance.maybe(20, { sourceAddresses: ['127.0.0.1', '127.0.0.3'] }),
        ...chance.maybe(20, { connectRate: 500 }),
        ...chance.maybe(20, { attempts: chance.between(2, 20) }),
        ...(isMqtt && chance.maybe(20, { lostLink: chance.pick(['evidence', 'move', 'pass']) })),
      },
      nodes,
    };
  }

  private node(wantedId: string, server: NodeServer): object {
    const { chance } = this;
    const id = this.usedIds.has(wantedId) ? `${wantedId.slice(0, 60)}.2` : wantedId;
    this.usedIds.add(id);
    const url = chance.pick(server);
    return {
      id,
      url,
      ...chance.maybe(40, { weight: chance.between(1, 100) }),
      ...chance.maybe(20, { maxConnections: 1000 }),
      ...chance.maybe(20, { probeUrl: url }),
    };
  }

  private rules(listeners: readonly ListenerPlan[], pools: Record<string, object>): object[] {
    const { chance, fixed } = this;
    const urlsOf = (protocol: Protocol): string[] =>
      listeners.filter((plan) => protocolOf(plan.scheme, plan.passesTls) === protocol).map(({ url }) => url);
    const [mqtt, http] = [urlsOf('MQTT'), urlsOf('HTTP')];
    const [mqttPools, httpPools] = [fixed.poolNames.MQTT, fixed.poolNames.HTTP].map((names) =>
      names.filter((name) => Object.hasOwn(pools, name)),
    );
    const rules: object[] = [{ when: { clientId: '^rejected-' }, reject: chance.pick(refusals) }];
    if (mqttPools !== undefined && mqttPools.length > 0) {
      rules.push({
        when: { clientId: '-ruled-' },
        pool: chance.pick(mqttPools),
        ...chance.maybe(40, { mode: 'relay' }),
      });
      rules.push({
        when: { clientId: '-([0-9]+)$' },
        key: '$1',
        ...chance.maybe(50, { limits: { messageRate: 500 } }),
      });
    }
    if (mqtt.length > 0)
      rules.push({ when: { listener: chance.pick(mqtt) }, mode: chance.pick(['session', 'relay']) });
    if (http.length > 0) {
      rules.push({ when: { listener: http, path: '^/refused' }, reject: chance.pick(refusals) });
      if (httpPools !== undefined && httpPools.length > 0)
        rules.push({ when: { listener: http, path: '^/other' }, pool: chance.pick(httpPools) });
    }
    return chance.shuffle(rules).slice(0, chance.between(1, rules.length));
  }
}
