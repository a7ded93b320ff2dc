/** The membership store that proxies share over Redis. Each concern has a file of its own; here they come together. */

import { BreakwaterError } from '../../base/errors.ts';
import { readHanded } from '../../base/read-handed.ts';
import { type Clock, type Random, systemClock, systemRandom } from '../../base/time.ts';
import type { SigningConfig } from '../../config/config.ts';
import type { NodeSpec } from '../../nodes/node.ts';
import type { Ban } from '../../policy/admission/bans.ts';
import type { Resolve } from '../../protocol/address/lookup.ts';
import { type Codec, createCodec } from './codec.ts';
import { createAsking } from './redis-ask.ts';
import { createBanCommands } from './redis-bans.ts';
import { createClaims } from './redis-claims.ts';
import { createDecisions } from './redis-decisions.ts';
import { type RedisKeys, redisKeys } from './redis-keys.ts';
import { RedisLink, type RunScript } from './redis-link.ts';
import { PULSE, SharedMembership, type Synced } from './redis-membership.ts';
import { membershipScripts as scripts } from './redis-membership-scripts.ts';
import type { Script } from './redis-script.ts';
import { createSessions } from './redis-sessions.ts';
import { createSharing } from './redis-sharing.ts';
import { type RedisState, redisState } from './redis-state.ts';
import { RedisSync } from './redis-sync.ts';
import { redisTarget } from './redis-target.ts';
import type {
  Answers,
  BeatingNode,
  ClientKey,
  ClientPlace,
  Decision,
  MembershipStore,
  ProxyBeat,
  Skipped,
  StoreWatcher,
} from './store.ts';

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

/** A sync may take a heartbeat, so that silence is reported after two; but so long even where heartbeats are quick. */
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
 * did not bring, and shows that Redis lives. Nothing here waits longer than the command timeout; while Redis is away
 * every command fails at once, and the last snapshot stays. A command that timed out may have been carried out, but is
 * not carried out later.
 */
export class RedisStore implements MembershipStore {
  readonly kind = 'redis';
  private readonly proxyId: string;
  private readonly commandTimeoutMs: number;
  private readonly connectTimeoutMs: number;
  private readonly keys: RedisKeys;
  private readonly codec: Codec;
  private readonly link: RedisLink;
  private readonly shared: SharedMembership;
  private readonly sync: RedisSync;
  private readonly asking: ReturnType<typeof createAsking>;
  private readonly decisions: ReturnType<typeof createDecisions>;
  private readonly bans: ReturnType<typeof createBanCommands>;
  private readonly claims: ReturnType<typeof createClaims>;
  private readonly sessions: ReturnType<typeof createSessions>;
  private readonly sharing: ReturnType<typeof createSharing>;
  private watcher = nobody;
  /** What the watcher knows of the link; undefined until `open` is done. */
  private reportedUp: boolean | undefined;
  private hasSynced = false;
  private onFirstUp = (): void => {};
  /** Versions of this proxy's heartbeats; they grow over restarts too. */
  private beats = Date.now();
  private lastBeat = { said: '', text: '' };

  /** @throws BreakwaterError CONFIG_INVALID */
  constructor(options: RedisStoreOptions) {
    const { cluster, proxyId, signing, clock = systemClock, heartbeatMs = 1_000 } = options;
    const { commandTimeoutMs = 2_000, connectTimeoutMs = 2_000 } = options;
    this.proxyId = proxyId;
    this.commandTimeoutMs = commandTimeoutMs;
    this.connectTimeoutMs = connectTimeoutMs;
    const keys = redisKeys(cluster, proxyId);
    const onSkipped = (skipped: Skipped): void => this.watcher.onSkipped(skipped);
    const codec = createCodec({ cluster, signing, now: Date.now, onSkipped });
    this.keys = keys;
    this.codec = codec;
    this.link = this.createLink(options);
    const syncTimeoutMs = Math.min(commandTimeoutMs, Math.max(heartbeatMs, SYNC_TIMEOUT_MIN_MS));
    this.shared = new SharedMembership({
      ...{ keys, codec, pauseMs: 2 * heartbeatMs, now: () => clock.now() },
      run: (script, names, args) => this.link.run(script, names, args, syncTimeoutMs),
    });
    this.sync = new RedisSync({
      ...{ shared: this.shared, link: this.link, clock, heartbeatMs, commandTimeoutMs },
      onSynced: (synced) => this.onSynced(synced),
    });
    this.asking = createAsking({
      ...{ proxyId, codec, now: () => clock.now() },
      sendQuestion: (text, to) => this.sendQuestion(text, to),
      sendAnswer: (proxy, text) => this.link.publish(keys.inboxOf(proxy), text),
      onAsk: (question) => this.watcher.onAsk(question),
    });
    const write = (script: Script, ...args: (string | number)[]) => this.write(script, ...args);
    this.decisions = createDecisions(codec, this.shared, write);
    this.bans = createBanCommands({
      ...{ codec, bans: this.shared.bans, storeNow: () => this.shared.storeNow(), write },
    });
    const commands = { keys, codec, run: this.run, deadline: () => this.deadline() };
    this.sessions = createSessions(commands);
    this.claims = createClaims({
      ...{ ...commands, proxyId, storeNow: () => this.shared.storeNow() },
      onClaim: (client, place) => this.watcher.onClaim(client, place),
    });
    this.sharing = createSharing(keys, codec, (script, names, args) =>
      this.run(script, names, [this.deadline(), ...args]),
    );
  }

  isUp(): boolean {
    return this.link.isUp();
  }

  async open(watcher: StoreWatcher): Promise<void> {
    this.watcher = watcher;
    await new Promise<void>((resolve) => {
      const bound = setTimeout(resolve, this.connectTimeoutMs);
      this.onFirstUp = () => {
        clearTimeout(bound);
        resolve();
      };
      this.link.start();
    });
    this.onFirstUp = () => {};
    this.reportedUp = true;
    if (this.link.isUp()) return;
    watcher.onMembership(this.shared.membership());
    this.reportUp(false, this.link.cause());
  }

  async close(): Promise<void> {
    this.watcher = nobody;
    this.sync.stop();
    await this.link.close();
    this.asking.fail(this.link.unavailable());
  }

  async addNode(spec: NodeSpec): Promise<void> {
    const text = this.codec.write('node', spec, spec.id);
    const added = await this.write(scripts.addNode, spec.id, text, this.shared.unusable(spec.id));
    if (added === 0) {
      throw new BreakwaterError(
        'NODE_EXISTS',
        `node ${spec.id} exists already; choose another id, or remove it first`,
      );
    }
    await this.sync.refresh();
  }

  async removeNode(id: string): Promise<void> {
    await this.write(scripts.removeNode, id);
    await this.sync.refresh();
  }

  async leaveNode(id: string): Promise<void> {
    await this.decisions.leave(id);
    await this.sync.refresh();
  }

  async decide(id: string, decision: Decision): Promise<void> {
    await this.decisions.decide(id, decision);
    await this.sync.refresh();
  }

  async ban(ban: Ban): Promise<void> {
    await this.bans.ban(ban);
    await this.sync.refresh();
  }

  async unban(id: string): Promise<boolean> {
    const isUnbanned = await this.bans.unban(id);
    await this.sync.refresh();
    return isUnbanned;
  }

  async beatNode(spec: BeatingNode, leaseMs: number, forgetAfterMs: number): Promise<void> {
    const text = this.beatText(spec);
    const unusable = this.shared.unusable(spec.id);
    const args = [spec.id, text, Math.ceil(leaseMs), Math.ceil(forgetAfterMs), unusable];
    if ((await this.write(scripts.beatNode, ...args)) === 1) await this.sync.refresh();
  }

  async beatProxy(beat: ProxyBeat, leaseMs: number): Promise<void> {
    const args = [beat.id, Math.ceil(leaseMs), ++this.beats, this.codec.write('proxy', beat, beat.id)];
    if ((await this.write(scripts.beatProxy, ...args)) === 1) await this.sync.refresh();
  }

  async leaveProxy(id: string): Promise<void> {
    await this.write(scripts.leaveProxy, id);
    await this.sync.refresh();
  }

  recallClient(...args: Parameters<MembershipStore['recallClient']>): Promise<ClientPlace | undefined> {
    return this.claims.recall(...args);
  }

  claimClient(...args: Parameters<MembershipStore['claimClient']>): Promise<number> {
    return this.claims.claim(...args);
  }

  moveClient(...args: Parameters<MembershipStore['moveClient']>): Promise<void> {
    return this.claims.move(...args);
  }

  renewClients(...args: Parameters<MembershipStore['renewClients']>): Promise<readonly ClientKey[]> {
    return this.claims.renew(...args);
  }

  takeSession(
    ...args: Parameters<MembershipStore['takeSession']>
  ): ReturnType<MembershipStore['takeSession']> {
    return this.sessions.take(...args);
  }

  keepSession(...args: Parameters<MembershipStore['keepSession']>): Promise<boolean> {
    return this.sessions.keep(...args);
  }

  share(...args: Parameters<MembershipStore['share']>): Promise<string> {
    return this.sharing.share(...args);
  }

  ask(...args: Parameters<MembershipStore['ask']>): Promise<Answers> {
    return this.asking.ask(...args);
  }

  describe(): RedisState {
    return this.shared.describe();
  }

  /** Redis's own word, if it has been heard, is newer. */
  restore(state: unknown): void {
    if (this.hasSynced) return;
    this.shared.inherit(readHanded(redisState, state, 'what is known of the store'));
    this.watcher.onMembership(this.shared.membership());
  }

  private createLink(options: RedisStoreOptions): RedisLink {
    const { keys, proxyId } = this;
    return new RedisLink({
      target: redisTarget(options.url),
      resolve: options.resolve ?? (async (host) => [host]),
      name: `breakwater:${proxyId}`.replace(/[^!-~]/g, '_'),
      channels: [keys.changes, keys.claims, keys.questions, keys.questionsTo(proxyId), keys.inbox],
      connectTimeoutMs: this.connectTimeoutMs,
      commandTimeoutMs: this.commandTimeoutMs,
      reconnectDelayMaxMs: options.reconnectDelayMaxMs ?? 2_000,
      random: options.random ?? systemRandom,
      onMessage: (channel, text) => this.onMessage(channel, text),
      onConnect: () => this.sync.first(),
      onUp: () => {
        this.reportUp(true, undefined);
        this.renewOutdated();
        this.onFirstUp();
        this.sync.tickLater();
      },
      onDown: (cause) => {
        this.sync.pause();
        this.asking.fail(this.link.unavailable());
        this.reportUp(false, cause);
      },
    });
  }

  private onMessage(channel: string, text: string): void {
    const { keys, proxyId } = this;
    if (channel === keys.changes) this.sync.heardChange(text);
    else if (channel === keys.claims) this.claims.onMessage(text);
    else if (channel === keys.questions || channel === keys.questionsTo(proxyId))
      this.asking.onQuestion(text);
    else if (channel === keys.inbox && text === PULSE) this.sync.heardPulse();
    else if (channel === keys.inbox) this.asking.onAnswer(text);
  }

  private onSynced({ isNews, proxies }: Synced): void {
    const isUp = this.link.isUp();
    this.hasSynced = true;
    if (isNews || !isUp) this.watcher.onMembership(this.shared.membership()); // after an absence all is reported
    if (isNews && isUp) this.renewOutdated();
    this.watcher.onProxies(proxies);
  }

  private reportUp(up: boolean, cause: string | undefined): void {
    if (this.reportedUp === undefined || this.reportedUp === up) return;
    this.reportedUp = up;
    this.watcher.onUp(up, cause);
  }

  /** @returns the ids of the proxies that live, or the one that was asked */
  private async sendQuestion(text: string, to: string | undefined): Promise<readonly string[]> {
    if (to === undefined) {
      const living = idsOf(await this.write(scripts.ask, this.keys.questions, text));
      return living.filter((id) => !this.shared.isUnusableProxy(id));
    }
    await this.link.publish(this.keys.questionsTo(to), text);
    return [to];
  }

  /** Until when a command may be carried out, by Redis's clock. */
  private deadline(): number {
    return Math.ceil(this.shared.storeNow() + this.commandTimeoutMs);
  }

  /** Connected is not enough: before the first sync Redis's clock is not known. */
  private readonly run: RunScript = async (...command) => {
    if (!this.link.isUp()) throw this.link.unavailable();
    return this.link.run(...command);
  };

  private async write(script: Script, ...args: (string | number)[]): Promise<unknown> {
    return this.run(script, this.keys.membership, [this.deadline(), this.keys.changes, ...args]);
  }

  /** A heartbeat that says nothing new is the same text as the one before, so that Redis sees that it is. */
  private beatText(spec: BeatingNode): string {
    const said = JSON.stringify(spec);
    if (said !== this.lastBeat.said) this.lastBeat = { said, text: this.codec.write('node', spec, spec.id) };
    return this.lastBeat.text;
  }

  /** Of several proxies the first does it; what fails is tried again with the next news. */
  private renewOutdated(): void {
    for (const { key, id, record, value } of this.shared.outdated()) {
      const text = this.codec.write(kindOf[key], value, id);
      this.write(scripts.rewrite, key, id, record, text).catch(() => {});
    }
  }
}

/** What the records of a key are. */
const kindOf = { nodes: 'node', decisions: 'decision', bans: 'ban' } as const;

/** The ids that a script answers. */
function idsOf(reply: unknown): readonly string[] {
  return Array.isArray(reply) ? reply.filter((id) => typeof id === 'string') : [];
}
