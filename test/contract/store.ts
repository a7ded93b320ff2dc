import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import type {
  ClientKey,
  ClientPlace,
  Decision,
  LivingProxy,
  Membership,
  MembershipStore,
  ProxyBeat,
  Skipped,
  StoredNode,
  StoreWatcher,
} from '../../src/membership/store/store.ts';
import type { NodeSpec } from '../../src/nodes/node.ts';
import { type Ban, type BanKind, banId } from '../../src/policy/admission/bans.ts';
import { SUBSCRIPTIONS_MAX } from '../../src/session/index.ts';
import { until } from '../support/wait.ts';

/** A cluster that is still empty. */
export interface StoreFixture {
  /** The store of one of its proxies. */
  store(proxyId: string): MembershipStore;
  /** Ends what the stores do not own, such as a server. */
  readonly end?: () => Promise<void>;
}

export const node = (id: string, changes: Partial<NodeSpec> = {}): NodeSpec => ({
  id,
  pool: 'default',
  url: `mqtt://${id}:1883`,
  weight: 10,
  source: 'api',
  ...changes,
});

export const ban = (kind: BanKind, value: string, changes: Partial<Ban> = {}): Ban => {
  return {
    id: banId(kind, value),
    kind,
    value,
    createdAt: '2026-01-01T00:00:00.000Z',
    kick: false,
    ...changes,
  };
};

export const beat = (id: string, changes: Partial<ProxyBeat> = {}): ProxyBeat => ({
  id,
  version: '0.1.0',
  host: 'h',
  pid: 1,
  engine: 'node',
  threads: 1,
  listeners: ['mqtt://0.0.0.0:1883'],
  connections: 0,
  nodeConnections: [],
  startedAt: '2026-01-01T00:00:00Z',
  ...changes,
});

/** Long enough that nothing runs out within a test. */
const LONG_MS = 60_000;

export const client = (clientId: string): ClientKey => ({ pool: 'default', clientId });

/** Everything that a watcher was told. */
export class Recorder implements StoreWatcher {
  /** Copies, made when they were told: a snapshot may be the store's own map. */
  readonly told: { nodes: Record<string, StoredNode>; decisions: Record<string, Decision> }[] = [];
  proxies: readonly LivingProxy[] = [];
  claims: [ClientKey, ClientPlace][] = [];
  readonly ups: boolean[] = [];
  readonly causes: (string | undefined)[] = [];
  readonly skipped: Skipped[] = [];
  answer: (question: unknown) => Promise<unknown> = async (question) => question;

  bans: Membership['bans'] = new Map();

  onMembership({ nodes, decisions, bans }: Membership): void {
    this.bans = bans;
    this.told.push(
      structuredClone({ nodes: Object.fromEntries(nodes), decisions: Object.fromEntries(decisions) }),
    );
  }
  onProxies(proxies: readonly LivingProxy[]): void {
    this.proxies = structuredClone([...proxies]);
  }
  onClaim(client: ClientKey, place: ClientPlace): void {
    this.claims.push([client, place]);
  }
  onAsk(question: unknown): Promise<unknown> {
    return this.answer(question);
  }
  onSkipped(skipped: Skipped): void {
    this.skipped.push(skipped);
  }
  onUp(up: boolean, cause: string | undefined): void {
    this.ups.push(up);
    this.causes.push(cause);
  }

  last() {
    return this.told.at(-1);
  }
  nodeIds(): string[] {
    return Object.keys(this.last()?.nodes ?? {}).sort();
  }
  proxyIds(): string[] {
    return this.proxies.map(({ id }) => id).sort();
  }
}

/** What every membership store does. `factory` makes an empty cluster for each test. */
export function storeContract(name: string, factory: () => StoreFixture | Promise<StoreFixture>): void {
  describe(`${name} membership store`, () => {
    let fixture: StoreFixture;
    let store: MembershipStore;
    let heard: Recorder;

    beforeEach(async () => {
      fixture = await factory();
      store = fixture.store('one');
      heard = new Recorder();
      await store.open(heard);
    });
    afterEach(async () => {
      await store.close();
      await fixture.end?.();
    });

    test('tells the present snapshot before it is open, and is up', () => {
      expect(heard.told).toEqual([{ nodes: {}, decisions: {} }]);
      expect(store.isUp()).toBe(true);
      expect(heard.ups).toEqual([]);
    });

    test('gives back a node with all that was declared of it', async () => {
      const spec = node('a', { pool: 'meters', weight: 100, probeUrl: 'http://a:18083/status' });
      await store.addNode(spec);
      expect(heard.last()?.nodes).toEqual({ a: { ...spec, late: false } });
    });

    test('takes ids that are words of the language', async () => {
      for (const id of ['constructor', '__proto__', 'hasOwnProperty']) {
        await store.beatNode(self({ id }), LONG_MS, LONG_MS);
        await store.addNode(node(`${id}-added`));
        await store.decide(id, { weight: 20 });
        await store.beatProxy(beat(id, { nodeConnections: [[id, 1]] }), LONG_MS);
        await store.claimClient(client(id), { node: id, proxy: id, who: 7 }, LONG_MS);
        expect(await store.recallClient(client(id))).toMatchObject({ node: id, proxy: id });
      }
      await store.addNode(node('toString')); // has no lease
      expect(heard.nodeIds()).toEqual(
        ['constructor', '__proto__', 'hasOwnProperty']
          .flatMap((id) => [id, `${id}-added`])
          .concat('toString')
          .sort(),
      );
      await until(() => heard.proxyIds().length === 3, 'the proxies');
      expect(
        heard.proxies
          .flatMap(({ nodeConnections }) => nodeConnections)
          .map(([id]) => id)
          .sort(),
      ).toEqual(['__proto__', 'constructor', 'hasOwnProperty']);
    });

    test('tells a change before it says that it is done', async () => {
      await store.addNode(node('a'));
      expect(heard.nodeIds()).toEqual(['a']);
      await store.decide('a', { weight: 20 });
      expect(heard.last()?.decisions).toEqual({ a: { weight: 20 } });
      await store.removeNode('a');
      expect(heard.last()).toEqual({ nodes: {}, decisions: {} });
    });

    test('tells whole snapshots', async () => {
      await store.addNode(node('a'));
      await store.addNode(node('b'));
      expect(heard.nodeIds()).toEqual(['a', 'b']);
    });

    test('refuses a second node of one id, and the first stays as it is', async () => {
      await store.addNode(node('a'));
      const second = store.addNode(node('a', { url: 'mqtt://other:1883' }));
      await expect(second).rejects.toMatchObject({ code: 'NODE_EXISTS' });
      expect(heard.last()?.nodes.a?.url).toBe('mqtt://a:1883');
    });

    test('of two that add one id at once, one wins', async () => {
      const results = await Promise.allSettled([store.addNode(node('a')), store.addNode(node('a'))]);
      expect(results.map(({ status }) => status).sort()).toEqual(['fulfilled', 'rejected']);
    });

    test('lays a decision over what was decided before', async () => {
      await store.decide('a', { state: 'draining', weight: 20 });
      await store.decide('a', { weight: 30 });
      await store.decide('a', { removed: true });
      expect(heard.last()?.decisions).toEqual({ a: { state: 'draining', weight: 30, removed: true } });
    });

    test('a field that is undefined is not given', async () => {
      await store.decide('a', { weight: 20, state: 'disabled' });
      await store.decide('a', { weight: undefined, state: 'enabled', removed: undefined });
      expect(heard.last()?.decisions).toEqual({ a: { weight: 20, state: 'enabled' } });
    });

    test('decides about nodes that are declared elsewhere', async () => {
      await store.decide('declared', { removed: true });
      expect(heard.last()).toEqual({ nodes: {}, decisions: { declared: { removed: true } } });
    });

    test('a new node begins without what was decided about an earlier one of its id', async () => {
      await store.decide('a', { state: 'disabled' });
      await store.addNode(node('a'));
      expect(heard.last()).toMatchObject({ nodes: { a: node('a') }, decisions: {} });
    });

    test('removing an unknown node is no error', async () => {
      await store.removeNode('a');
      expect(heard.last()).toEqual({ nodes: {}, decisions: {} });
    });

    const bans = () => [...heard.bans.values()];

    test('bans devices, and takes that back', async () => {
      const [meter, network] = [ban('clientId', 'm"é\u0000'), ban('source', '10.0.0.0/8')];
      await store.ban(meter);
      await store.ban(network);
      expect(bans()).toEqual(expect.arrayContaining([meter, network]));
      expect(heard.bans.get(meter.id)).toEqual(meter);
      expect(await store.unban(meter.id)).toBe(true);
      expect(bans()).toEqual([network]);
      expect(await store.unban(meter.id)).toBe(false);
    });

    test('a ban of the same criterion is in the place of the one before', async () => {
      await store.ban(ban('username', 'u', { reason: 'first' }));
      const second = ban('username', 'u', { kick: true, expiresAt: '2100-01-01T00:00:00.000Z' });
      await store.ban(second);
      expect(bans()).toEqual([second]);
    });

    test('bans that are over give way to the next', async () => {
      await store.ban(ban('clientId', 'over', { expiresAt: '2026-01-01T00:00:01.000Z' }));
      await store.ban(ban('clientId', 'lasts', { expiresAt: '2100-01-01T00:00:00.000Z' }));
      await store.ban(ban('clientId', 'new'));
      expect(bans().map(({ value }) => value)).toEqual(expect.arrayContaining(['lasts', 'new']));
      expect(bans()).toHaveLength(2);
    });

    test('a ban stays the same value as long as nothing of it changes, and so do all together', async () => {
      await store.ban(ban('clientId', 'a'));
      const before = heard.bans;
      await store.addNode(node('n'));
      expect(heard.bans).toBe(before);
      await store.ban(ban('clientId', 'b'));
      expect(heard.bans).not.toBe(before);
      expect(heard.bans.get(banId('clientId', 'a'))).toBe(before.get(banId('clientId', 'a')));
    });

    const self = (changes: Partial<NodeSpec> = {}) => node('a', { source: 'self', ...changes });

    test('a node registers itself, and is told anew when it has moved', async () => {
      await store.beatNode(self(), LONG_MS, LONG_MS);
      expect(heard.last()?.nodes).toEqual({ a: { ...self(), late: false } });
      await store.beatNode(self({ url: 'mqtt://moved:1883' }), LONG_MS, LONG_MS);
      expect(heard.last()?.nodes.a?.url).toBe('mqtt://moved:1883');
    });

    test('a heartbeat that says nothing new is not told', async () => {
      await store.beatNode(self(), LONG_MS, LONG_MS);
      const before = heard.told.length;
      await store.beatNode(self(), LONG_MS, LONG_MS);
      expect(heard.told).toHaveLength(before);
    });

    test('a node that misses its lease is late, and in time again with the next heartbeat', async () => {
      await store.beatNode(self(), 1, LONG_MS);
      await until(() => heard.last()?.nodes.a?.late, 'the node to be late');
      await store.beatNode(self(), LONG_MS, LONG_MS);
      expect(heard.last()?.nodes.a?.late).toBe(false);
    });

    test('a node that stays away is forgotten, but not what was decided about it', async () => {
      await store.decide('a', { state: 'disabled' });
      await store.beatNode(self(), 1, 1);
      await until(() => heard.nodeIds().length === 0, 'the node to be forgotten');
      expect(heard.last()?.decisions).toEqual({ a: { state: 'disabled' } });
    });

    test('a node that says that it leaves is told so, until it says otherwise', async () => {
      await store.beatNode({ ...self(), leaving: true }, LONG_MS, LONG_MS);
      expect(heard.last()?.nodes.a?.leaving).toBe(true);
      await store.beatNode(self(), LONG_MS, LONG_MS);
      expect(heard.last()?.nodes.a?.leaving).toBeFalsy();
    });

    test('a node that leaves is gone at once, but not what was decided about it', async () => {
      await store.decide('a', { state: 'disabled' });
      await store.beatNode(self(), LONG_MS, LONG_MS);
      await store.leaveNode('a');
      await store.leaveNode('unknown');
      expect(heard.last()).toEqual({ nodes: {}, decisions: { a: { state: 'disabled' } } });
    });

    test('a node that was drained and leaves may come back, by its weight as decided', async () => {
      for (const [id, weight] of [
        ['a', undefined],
        ['b', 30],
      ] as const) {
        await store.decide(id, { state: 'draining', weight });
        await store.beatNode({ ...self(), id }, LONG_MS, LONG_MS);
        await store.leaveNode(id);
      }
      expect(heard.last()).toEqual({ nodes: {}, decisions: { b: { weight: 30 } } });
    });

    test('a node that a person added stays so when one of its id registers', async () => {
      await store.addNode(node('a'));
      await store.beatNode(self({ url: 'mqtt://other:1883' }), 1, 1);
      expect(heard.last()?.nodes.a).toEqual({ ...node('a'), late: false });
    });

    test('a proxy that beats lives, with all that it says of itself', async () => {
      const said = beat('one', {
        connections: 3,
        nodeConnections: [['a', 2] as const, ['constructor', 1] as const],
      });
      await store.beatProxy(said, LONG_MS);
      await until(() => heard.proxies.length === 1, 'the proxy');
      expect(heard.proxies).toEqual([{ ...said, lastSeen: expect.any(Number) }]);
      await store.beatProxy({ ...said, connections: 4 }, LONG_MS);
      await until(() => heard.proxies[0]?.connections === 4, 'the next beat');
    });

    test('a proxy that beats no more is gone', async () => {
      await store.beatProxy(beat('one'), LONG_MS);
      await store.beatProxy(beat('other'), 300);
      await until(() => heard.proxies.length === 2, 'both proxies');
      await until(() => heard.proxyIds().join() === 'one', 'the other to be gone');
    });

    test('a proxy that leaves is gone', async () => {
      await store.beatProxy(beat('one'), LONG_MS);
      await until(() => heard.proxies.length === 1, 'the proxy');
      await store.leaveProxy('one');
      await until(() => heard.proxies.length === 0, 'the proxy to be gone');
    });

    test('nobody remembers a device that was never claimed', async () => {
      expect(await store.recallClient(client('d'))).toBeUndefined();
    });

    test('the newest claim of a device wins, and has the greatest epoch', async () => {
      const first = await store.claimClient(client('d'), { node: 'a', proxy: 'one', who: 7 }, LONG_MS);
      const second = await store.claimClient(client('d'), { node: 'b', proxy: 'two', who: 7 }, LONG_MS);
      expect(second).toBeGreaterThan(first);
      expect(await store.recallClient(client('d'))).toEqual({
        node: 'b',
        proxy: 'two',
        who: 7,
        epoch: second,
      });
    });

    test('a claim is moved by its own proxy, and grows no younger by it; those of others are left alone', async () => {
      const epoch = await store.claimClient(client('d'), { node: 'a', proxy: 'one', who: 7 }, LONG_MS);
      await store.moveClient(client('d'), { node: 'b', proxy: 'one', who: 7, epoch });
      expect(await store.recallClient(client('d'))).toEqual({ node: 'b', proxy: 'one', who: 7, epoch });
      await store.moveClient(client('d'), { node: 'c', proxy: 'two', who: 7, epoch: epoch - 1 });
      expect(await store.recallClient(client('d'))).toEqual({ node: 'b', proxy: 'one', who: 7, epoch });
      await store.moveClient(client('nobody'), { node: 'c', proxy: 'two', who: 7, epoch });
      expect(await store.recallClient(client('nobody'))).toBeUndefined();
    });

    test('a client id is another one in every pool', async () => {
      const [here, there] = [client('d'), { ...client('d'), pool: 'other' }];
      await store.claimClient(here, { node: 'a', proxy: 'one', who: 7 }, LONG_MS);
      await store.claimClient(there, { node: 'b', proxy: 'one', who: 7 }, LONG_MS);
      expect(await store.recallClient(here)).toMatchObject({ node: 'a' });
      expect(await store.renewClients('one', [here, there], LONG_MS)).toEqual([]);
    });

    test('who it is comes back, also below zero', async () => {
      const place = { node: 'a', proxy: 'one', who: -2_000_000_000 };
      const epoch = await store.claimClient(client('d'), place, LONG_MS);
      expect(await store.recallClient(client('d'))).toEqual({ ...place, epoch });
    });

    test('a claim that the store has lost is laid back as old as it was: a newer one stays', async () => {
      const [lost, other] = [client('lost'), client('other')];
      const old = await store.claimClient(client('d'), { node: 'a', proxy: 'one', who: 7 }, LONG_MS);
      expect(await store.claimClient(lost, { node: 'a', proxy: 'one', who: 7 }, LONG_MS, old)).toBe(old);
      expect(await store.recallClient(lost)).toMatchObject({ proxy: 'one', epoch: old });
      const newer = await store.claimClient(lost, { node: 'b', proxy: 'two', who: 7 }, LONG_MS);
      await store.claimClient(lost, { node: 'a', proxy: 'one', who: 7 }, LONG_MS, old);
      expect(await store.recallClient(lost)).toMatchObject({ proxy: 'two', epoch: newer });
      const future = newer + 3_600_000_000; // of a store whose clock went before
      await store.claimClient(other, { node: 'a', proxy: 'one', who: 7 }, LONG_MS, future);
      const next = await store.claimClient(other, { node: 'b', proxy: 'two', who: 7 }, LONG_MS);
      expect(next).toBeGreaterThan(future);
    });

    test('the epoch of a device grows over the end of its claim', async () => {
      const first = await store.claimClient(client('d'), { node: 'a', proxy: 'one', who: 7 }, 1);
      await until(async () => !(await store.recallClient(client('d'))), 'the claim to expire');
      expect(await store.claimClient(client('d'), { node: 'a', proxy: 'one', who: 7 }, 1)).toBeGreaterThan(
        first,
      );
    });

    test('device ids may hold anything', async () => {
      const id = 'a b\n"}{:é/%\u0000';
      await store.claimClient(client(id), { node: 'a', proxy: 'one', who: 7 }, LONG_MS);
      expect(await store.recallClient(client(id))).toMatchObject({ node: 'a' });
    });

    test('renewing keeps own claims, and leaves those of others and unknown ones alone', async () => {
      await store.claimClient(client('mine'), { node: 'a', proxy: 'one', who: 7 }, 500);
      await store.claimClient(client('theirs'), { node: 'a', proxy: 'two', who: 7 }, 500);
      expect(
        await store.renewClients(
          'one',
          ['mine', 'theirs', 'unknown'].map((id) => client(id)),
          LONG_MS,
        ),
      ).toEqual([client('unknown')]);
      await until(
        async () => !(await store.recallClient(client('theirs'))),
        "the other proxy's claim to expire",
      );
      expect(await store.recallClient(client('mine'))).toMatchObject({ node: 'a' });
      expect(await store.recallClient(client('unknown'))).toBeUndefined();
    });

    test('renews more claims than fit one batch', async () => {
      const ids = Array.from({ length: 1_100 }, (_, i) => `d${i}`);
      await Promise.all(
        ids.map((id) => store.claimClient(client(id), { node: 'a', proxy: 'one', who: 7 }, 1_500)),
      );
      await store.renewClients(
        'one',
        ids.slice(1).map((id) => client(id)),
        LONG_MS,
      );
      await until(
        async () => !(await store.recallClient(client('d0'))),
        'the one that was not renewed to expire',
      );
      expect(await store.recallClient(client('d1099'))).toBeDefined();
    });

    const stored = (text: string) => ({ who: -7, subscriptions: Buffer.from(text).toString('base64') });

    test('a session that rests is given to the next connection, once', async () => {
      expect(await store.takeSession(client('d'), '1', 'first')).toBe('unknown');
      expect(await store.keepSession(client('d'), '1', stored('a'), LONG_MS)).toBe(true);
      expect(await store.takeSession(client('d'), '2', 'first')).toEqual(stored('a'));
      expect(await store.takeSession(client('d'), '2', 'first')).toBe('unknown');
      expect(await store.keepSession(client('d'), '2', stored(''), LONG_MS)).toBe(true);
      expect(await store.takeSession(client('d'), '3', 'anyway')).toEqual(stored(''));
    });

    test('a session that an earlier connection has is waited for, and then taken without its word', async () => {
      await store.takeSession(client('d'), '1', 'anyway');
      expect(await store.takeSession(client('d'), '2', 'first')).toBe('in-use');
      expect(await store.takeSession(client('d'), '2', 'again')).toBe('in-use');
      await store.keepSession(client('d'), '1', stored('a'), LONG_MS);
      expect(await store.takeSession(client('d'), '2', 'again')).toEqual(stored('a'));
      expect(await store.takeSession(client('d'), '3', 'first')).toBe('in-use');
      expect(await store.takeSession(client('d'), '3', 'last')).toBe('unknown');
      expect(await store.keepSession(client('d'), '2', stored('late'), LONG_MS)).toBe(false);
      expect(await store.takeSession(client('d'), '3', 'first')).toBe('unknown');
      expect(await store.keepSession(client('d'), '3', stored('b'), LONG_MS)).toBe(true);
    });

    test('a session that one connection waits for is not known to a third one, before it is left nor after', async () => {
      for (const isLeftFirst of [true, false]) {
        const key = client(`d${isLeftFirst}`);
        await store.takeSession(key, '1', 'anyway');
        expect(await store.takeSession(key, '2', 'first')).toBe('in-use');
        if (isLeftFirst) await store.keepSession(key, '1', stored('a'), LONG_MS);
        expect(await store.takeSession(key, '3', 'first')).toBe('in-use');
        expect(await store.takeSession(key, '3', 'again')).toBe('unknown');
        if (!isLeftFirst) expect(await store.keepSession(key, '1', stored('a'), LONG_MS)).toBe(false);
        expect(await store.takeSession(key, '2', isLeftFirst ? 'again' : 'last')).toBe('unknown');
        expect(await store.keepSession(key, '3', stored('c'), LONG_MS)).toBe(true);
        expect(await store.takeSession(key, '2', 'last')).toBe('unknown');
        expect(await store.takeSession(key, '4', 'first')).toEqual(stored('c'));
      }
    });

    test('whoever waits for a session does not get what a later one has begun', async () => {
      await store.takeSession(client('d'), '1', 'anyway');
      expect(await store.takeSession(client('d'), '2', 'first')).toBe('in-use');
      await store.takeSession(client('d'), '3', 'anyway');
      expect(await store.keepSession(client('d'), '3', stored('new'), LONG_MS)).toBe(true);
      for (const how of ['again', 'last'] as const)
        expect(await store.takeSession(client('d'), '2', how)).toBe('unknown');
      expect(await store.takeSession(client('d'), '4', 'first')).toEqual(stored('new'));
    });

    test('a connection has the place of a former one, which has the session or waits for it', async () => {
      await store.takeSession(client('d'), '1', 'anyway');
      expect(await store.takeSession(client('d'), '2', 'first')).toBe('in-use');
      expect(await store.takeSession(client('d'), '3', 'again', '2')).toBe('in-use');
      expect(await store.takeSession(client('d'), '2', 'again')).toBe('unknown');
      expect(await store.keepSession(client('d'), '1', stored('a'), LONG_MS)).toBe(true);
      expect(await store.takeSession(client('d'), '4', 'again', '3')).toEqual(stored('a'));
      expect(await store.takeSession(client('d'), '5', 'first', '4')).toBe('unknown');
      expect(await store.keepSession(client('d'), '4', stored('late'), LONG_MS)).toBe(false);
      expect(await store.keepSession(client('d'), '5', stored('b'), LONG_MS)).toBe(true);
      expect(await store.takeSession(client('d'), '6', 'first')).toEqual(stored('b'));
    });

    test('but not where another one waits for the former one to leave', async () => {
      await store.takeSession(client('d'), '1', 'anyway');
      expect(await store.takeSession(client('d'), '2', 'first')).toBe('in-use');
      expect(await store.takeSession(client('d'), '3', 'first', '1')).toBe('in-use');
      expect(await store.keepSession(client('d'), '1', stored('a'), LONG_MS)).toBe(false);
      expect(await store.takeSession(client('d'), '2', 'again')).toBe('unknown');
    });

    test('nor where another one has come in between: nobody gets then what that has left', async () => {
      await store.takeSession(client('d'), '1', 'anyway');
      expect(await store.takeSession(client('d'), '2', 'first')).toBe('in-use');
      await store.takeSession(client('d'), '3', 'anyway');
      expect(await store.keepSession(client('d'), '3', stored('c'), LONG_MS)).toBe(true);
      expect(await store.takeSession(client('d'), '4', 'again', '2')).toBe('unknown');
      expect(await store.takeSession(client('d'), '5', 'first')).toBe('in-use');
    });

    test('where two connections speak for one session, it is not remembered', async () => {
      await store.takeSession(client('d'), '1', 'anyway');
      await store.keepSession(client('d'), '1', stored('a'), LONG_MS);
      expect(await store.keepSession(client('d'), '0', stored('late'), LONG_MS)).toBe(false);
      expect(await store.takeSession(client('d'), '2', 'first')).toBe('in-use');
      expect(await store.takeSession(client('d'), '2', 'last')).toBe('unknown');
    });

    test('a session is another one in every pool, and is forgotten when it expires', async () => {
      const there = { ...client('d'), pool: 'other' };
      await store.keepSession(client('d'), '1', stored('here'), 1);
      await store.keepSession(there, '1', stored('there'), LONG_MS);
      const expired = async () => (await store.takeSession(client('d'), '2', 'first')) === 'unknown';
      await until(expired, 'the session to expire');
      expect(await store.takeSession(there, '2', 'first')).toEqual(stored('there'));
    });

    test('a session has room for as much as may be remembered, and ids for anything', async () => {
      const session = { who: 0, subscriptions: 'a'.repeat(SUBSCRIPTIONS_MAX) };
      const id = 'a b\n"}{:é/%\u0000';
      expect(await store.keepSession(client(id), '1', session, LONG_MS)).toBe(true);
      expect(await store.takeSession(client(id), '2', 'first')).toEqual(session);
    });

    test('what is shared is what was put first, or in the place of exactly what was there', async () => {
      expect(await store.share('a', 'one')).toBe('one');
      expect(await store.share('a', 'two')).toBe('one');
      expect(await store.share('a', 'two', 'another')).toBe('one');
      expect(await store.share('a', 'three', 'one')).toBe('three');
      expect(await store.share('b', 'other')).toBe('other');
    });

    test('where there are no others, nobody answers', async () => {
      await store.beatProxy(beat('one'), LONG_MS);
      expect(await store.ask('?', LONG_MS)).toEqual({ given: new Map(), missing: [] });
    });

    test('tells nothing once it is closed', async () => {
      await store.close();
      const before = heard.told.length;
      await store.addNode(node('a')).catch(() => {}); // it may refuse by then
      expect(heard.told).toHaveLength(before);
    });

    test('closes a second time without complaint', async () => {
      await store.close();
      await expect(store.close()).resolves.toBeUndefined();
    });
  });
}
