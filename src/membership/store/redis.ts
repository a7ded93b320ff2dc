import { BreakwaterError } from '../../base/errors.ts';
import { type Clock, type Random, systemClock, systemRandom } from '../../base/time.ts';
import type { SigningConfig } from '../../config/config.ts';
import type { Resolve } from '../../protocol/address/lookup.ts';
import { createCodec } from './codec.ts';
import { createAsking } from './redis-ask.ts';
import { createClaims } from './redis-claims.ts';
import { createDecisions } from './redis-decisions.ts';
import { redisKeys } from './redis-keys.ts';
import { keepLink, whyOf } from './redis-link.ts';
import { PULSE, shareMembership } from './redis-membership.ts';
import { membershipScripts as scripts } from './redis-membership-scripts.ts';
import type { Script } from './redis-script.ts';
import { createSessions } from './redis-sessions.ts';
import { createSharing } from './redis-sharing.ts';
import { redisTarget } from './redis-target.ts';
import type { BeatingNode, MembershipStore, StoreWatcher } from './store.ts';

export interface RedisStoreOptions {
  /** See `config/redis-url.ts`. */
  readonly url: string;
  /** Stores with one Redis and one cluster share everything. */
  readonly cluster: string;
  /** Unique in the cluster. */
  readonly proxyId: string;
  /** Signs what is written, and is asked of what is read; absent: nothing is signed. */
  readonly signing?: SigningConfig | undefined;
  /** Absent: names are left to the system's resolver, whose answer nobody can do without. */
  readonly resolve?: Resolve;
  /** How often it is looked whether a message was missed, and whether Redis answers. Default 1,000. */
  readonly heartbeatMs?: number;
  /** Longest wait for one answer. Default 2,000. */
  readonly commandTimeoutMs?: number;
  /** Longest wait for one connection, and of `open` for the first snapshot. Default 2,000. */
  readonly connectTimeoutMs?: number;
  /** Longest pause between two attempts to connect. Default 2,000. */
  readonly reconnectDelayMaxMs?: number;
  readonly clock?: Clock;
  readonly random?: Random;
}

/** Between two syncs that messages ask for. */
const CHANGE_GAP_MS = 10;
/** A sync may take a heartbeat, so that silence is told after two; but so long even where hearts beat fast. */
const SYNC_TIMEOUT_MIN_MS = 500;

const nobody: StoreWatcher = {
  onMembership() {},
  onProxies() {},
  onClaim() {},
  onAsk: () => Promise.reject(new Error('nobody answers')),
  onSkipped() {},
  onUp() {},
};

/**
 * Membership in Redis: one server, one that sentinels watch, or a Redis Cluster.
 *
 * Messages make it quick, and a sync every `heartbeatMs` makes it right: it ends leases, fetches what a lost message
 * did not tell, and shows that Redis lives. Nothing here waits longer than the command timeout; while Redis is away
 * every command fails at once, and the last snapshot stays. A command that timed out may have been carried out, but is
 * not carried out later.
 * @throws BreakwaterError CONFIG_INVALID
 */
export function createRedisStore(options: RedisStoreOptions): MembershipStore {
  const { url, cluster, proxyId, clock = systemClock, random = systemRandom } = options;
  const { heartbeatMs = 1_000, commandTimeoutMs = 2_000 } = options;
  const { connectTimeoutMs = 2_000, reconnectDelayMaxMs = 2_000 } = options;
  const syncTimeoutMs = Math.min(commandTimeoutMs, Math.max(heartbeatMs, SYNC_TIMEOUT_MIN_MS));
  const silentTicksMax = Math.ceil(commandTimeoutMs / heartbeatMs) + 1;
  const keys = redisKeys(cluster, proxyId);
  const codec = createCodec({
    cluster,
    signing: options.signing,
    now: Date.now,
    onSkipped: (skipped) => watcher.onSkipped(skipped),
  });
  let watcher = nobody;
  let toldUp: boolean | undefined; // undefined until `open` is done
  let onFirstUp = (): void => {};
  let ticking: NodeJS.Timeout | undefined;
  let silentTicks = 0;
  let heeding: NodeJS.Timeout | undefined;
  let syncedAt = Number.NEGATIVE_INFINITY;
  /** The newest version that was told since the last sync began; no number: something else has changed. */
  let wanted = 0;
  let beats = Date.now(); // versions of this proxy's heartbeats; they grow over restarts too

  const link = keepLink({
    target: redisTarget(url),
    resolve: options.resolve ?? (async (host) => [host]),
    name: `breakwater:${proxyId}`.replace(/[^!-~]/g, '_'),
    channels: [keys.changes, keys.claims, keys.questions, keys.questionsTo(proxyId), keys.inbox],
    connectTimeoutMs,
    commandTimeoutMs,
    reconnectDelayMaxMs,
    random,
    onMessage,
    onConnect: async () => {
      silentTicks = 0;
      await refresh();
    },
    onUp() {
      tellUp(true, undefined);
      renewOutdated();
      onFirstUp();
      ticking = setTimeout(tick, heartbeatMs);
    },
    onDown(cause) {
      clearTimeout(ticking);
      asking.fail(link.unavailable());
      tellUp(false, cause);
    },
  });
  const shared = shareMembership(
    keys,
    codec,
    (script, names, args) => link.run(script, names, args, syncTimeoutMs),
    2 * heartbeatMs,
    () => clock.now(),
  );
  const asking = createAsking({
    proxyId,
    codec,
    now: () => clock.now(),
    async sendQuestion(text, to) {
      if (to === undefined) {
        const living = idsOf(await write(scripts.ask, keys.questions, text));
        return living.filter((id) => !shared.isUnusableProxy(id));
      }
      await link.publish(keys.questionsTo(to), text);
      return [to];
    },
    sendAnswer: (proxy, text) => link.publish(keys.inboxOf(proxy), text),
    onAsk: (question) => watcher.onAsk(question),
  });
  const decisions = createDecisions(codec, shared, write);
  const run: typeof link.run = async (...command) => {
    requireUp();
    return link.run(...command);
  };
  const sessions = createSessions({ keys, codec, run, deadline });
  const claims = createClaims({
    ...{ keys, codec, proxyId, run, deadline },
    storeNow: shared.storeNow,
    onClaim: (client, place) => watcher.onClaim(client, place),
  });

  const sharing = createSharing(keys, codec, (script, names, args) =>
    link.run(script, names, [deadline(), ...args]),
  );

  function deadline(): number {
    return Math.ceil(shared.storeNow() + commandTimeoutMs);
  }

  /** Connected is not enough: before the first sync Redis's clock is not known. */
  function requireUp(): void {
    if (!link.isUp()) throw link.unavailable();
  }

  async function write(script: Script, ...args: (string | number)[]): Promise<unknown> {
    requireUp();
    return link.run(script, keys.membership, [deadline(), keys.changes, ...args]);
  }

  /** A heartbeat that says nothing new is the same text as the one before, so that Redis sees that it is. */
  let lastBeat = { said: '', text: '' };
  function beatText(spec: BeatingNode): string {
    const said = JSON.stringify(spec);
    if (said !== lastBeat.said) lastBeat = { said, text: codec.write('node', spec, spec.id) };
    return lastBeat.text;
  }

  /** Of several proxies the first does it. */
  function renewOutdated(): void {
    for (const { key, id, record, value } of shared.outdated()) {
      const text = codec.write(key === 'nodes' ? 'node' : 'decision', value, id);
      write(scripts.rewrite, key, id, record, text).catch(() => {}); // with the next news
    }
  }

  function tellUp(up: boolean, cause: string | undefined): void {
    if (toldUp === undefined || toldUp === up) return;
    toldUp = up;
    watcher.onUp(up, cause);
  }

  const refresh = coalesced(async () => {
    clearTimeout(heeding); // what was said before is seen by this one
    heeding = undefined;
    wanted = 0;
    syncedAt = clock.now();
    const { isNews, proxies } = await shared.sync();
    if (isNews || !link.isUp()) watcher.onMembership(shared.membership()); // who was away is told it all
    if (isNews && link.isUp()) renewOutdated();
    watcher.onProxies(proxies);
  });

  async function tick(): Promise<void> {
    try {
      await refresh();
      if (++silentTicks > silentTicksMax) throw new Error('its messages do not arrive');
      if (link.isUp()) ticking = setTimeout(tick, heartbeatMs);
    } catch (error) {
      link.fail(whyOf(error));
    }
  }

  /** Whoever says all the time that something has changed makes no more work than this. @param text the version, or a word */
  function heedChange(text: string): void {
    wanted = Math.max(wanted, /^\d{1,16}$/.test(text) ? Number(text) : Number.POSITIVE_INFINITY);
    const waitMs = syncedAt + CHANGE_GAP_MS - clock.now();
    if (waitMs <= 0) syncNow();
    else heeding ??= setTimeout(syncNow, waitMs);
  }

  function syncNow(): void {
    heeding = undefined;
    if (link.isUp() && wanted > shared.version()) refresh().catch((error) => link.fail(whyOf(error)));
  }

  function onMessage(channel: string, text: string): void {
    if (channel === keys.changes) heedChange(text);
    else if (channel === keys.claims) claims.onMessage(text);
    else if (channel === keys.questions || channel === keys.questionsTo(proxyId)) asking.onQuestion(text);
    else if (channel === keys.inbox && text === PULSE) silentTicks = 0;
    else if (channel === keys.inbox) asking.onAnswer(text);
  }

  return {
    kind: 'redis',
    isUp: link.isUp,
    async open(openWatcher) {
      watcher = openWatcher;
      await new Promise<void>((resolve) => {
        const bound = setTimeout(resolve, connectTimeoutMs);
        onFirstUp = () => {
          clearTimeout(bound);
          resolve();
        };
        link.start();
      });
      onFirstUp = () => {};
      toldUp = true;
      if (link.isUp()) return;
      watcher.onMembership(shared.membership());
      tellUp(false, link.cause());
    },

    async addNode(spec) {
      const added = await write(
        scripts.addNode,
        spec.id,
        codec.write('node', spec, spec.id),
        shared.unusable(spec.id),
      );
      if (added === 0) {
        throw new BreakwaterError(
          'NODE_EXISTS',
          `node ${spec.id} exists already; choose another id, or remove it first`,
        );
      }
      await refresh();
    },
    async removeNode(id) {
      await write(scripts.removeNode, id);
      await refresh();
    },
    async leaveNode(id) {
      await decisions.leave(id);
      await refresh();
    },
    async decide(id, decision) {
      await decisions.decide(id, decision);
      await refresh();
    },
    async beatNode(spec, leaseMs, forgetAfterMs) {
      const text = beatText(spec);
      const args = [spec.id, text, Math.ceil(leaseMs), Math.ceil(forgetAfterMs), shared.unusable(spec.id)];
      if ((await write(scripts.beatNode, ...args)) === 1) await refresh();
    },

    async beatProxy(beat, leaseMs) {
      const args = [beat.id, Math.ceil(leaseMs), ++beats, codec.write('proxy', beat, beat.id)];
      if ((await write(scripts.beatProxy, ...args)) === 1) await refresh();
    },
    async leaveProxy(id) {
      await write(scripts.leaveProxy, id);
      await refresh();
    },

    recallClient: claims.recall,
    claimClient: claims.claim,
    moveClient: claims.move,
    renewClients: claims.renew,
    takeSession: sessions.take,
    keepSession: sessions.keep,
    async share(name, next, before) {
      requireUp();
      return sharing.share(name, next, before);
    },
    ask: asking.ask,

    async close() {
      watcher = nobody;
      clearTimeout(ticking);
      clearTimeout(heeding);
      await link.close();
      asking.fail(link.unavailable());
    },
  };
}

/** The ids that a script answers. */
function idsOf(reply: unknown): readonly string[] {
  return Array.isArray(reply) ? reply.filter((id) => typeof id === 'string') : [];
}

/** Calls while one runs share the next, which begins after them and so sees what they want seen. */
function coalesced(run: () => Promise<void>): () => Promise<void> {
  let running: Promise<void> | undefined;
  let next: Promise<void> | undefined;
  const start = (): Promise<void> => {
    next = undefined;
    running = run().finally(() => {
      running = undefined;
    });
    return running;
  };
  return () => {
    if (running) next ??= running.catch(() => {}).then(start);
    return next ?? start();
  };
}
