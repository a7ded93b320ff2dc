import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import type { MembershipStore } from '../../src/membership/store/store.ts';
import { until } from '../support/wait.ts';
import { ban, beat, client, node, Recorder, type StoreFixture } from './store.ts';

const LONG_MS = 60_000;

/** What every store does that several proxies share, beyond `storeContract`. */
export function sharedStoreContract(name: string, factory: () => StoreFixture | Promise<StoreFixture>): void {
  describe(`${name} membership store of two proxies`, () => {
    let fixture: StoreFixture;
    let one: MembershipStore;
    let two: MembershipStore;
    let heardByOne: Recorder;
    let heardByTwo: Recorder;

    beforeEach(async () => {
      fixture = await factory();
      [one, two] = [fixture.store('one'), fixture.store('two')];
      [heardByOne, heardByTwo] = [new Recorder(), new Recorder()];
      await Promise.all([one.open(heardByOne), two.open(heardByTwo)]);
    });
    afterEach(async () => {
      await Promise.all([one.close(), two.close()]);
      await fixture.end?.();
    });

    const bothLive = async () => {
      await one.beatProxy(beat('one'), LONG_MS);
      await two.beatProxy(beat('two'), LONG_MS);
      await until(() => heardByOne.proxies.length === 2 && heardByTwo.proxies.length === 2, 'both proxies');
    };

    test('what is said to one holds for the other', async () => {
      await one.addNode(node('a'));
      await until(() => heardByTwo.nodeIds().join() === 'a', 'the node');
      await two.decide('a', { state: 'draining', weight: 5 });
      await until(() => heardByOne.last()?.decisions.a?.state === 'draining', 'the decision');
      await two.removeNode('a');
      await until(() => heardByOne.nodeIds().length === 0, 'the removal');
      expect(heardByOne.last()).toEqual({ nodes: {}, decisions: {} });
    });

    test('a ban of one holds for the other, until that takes it back', async () => {
      const made = ban('source', '10.0.0.0/8', { reason: 'noisy', kick: true });
      await one.ban(made);
      await until(() => heardByTwo.bans.size === 1, 'the ban');
      expect([...heardByTwo.bans.values()]).toEqual([made]);
      await two.unban(made.id);
      await until(() => heardByOne.bans.size === 0, 'the end of the ban');
    });

    test('a proxy that comes later knows the bans', async () => {
      const made = ban('clientId', 'd');
      await one.ban(made);
      const [three, heardByThree] = [fixture.store('three'), new Recorder()];
      await three.open(heardByThree);
      expect([...heardByThree.bans.values()]).toEqual([made]);
      await three.close();
    });

    test('of two that add one id, one wins at both', async () => {
      const results = await Promise.allSettled([
        one.addNode(node('a', { url: 'mqtt://first:1' })),
        two.addNode(node('a', { url: 'mqtt://second:1' })),
      ]);
      expect(results.map(({ status }) => status).sort()).toEqual(['fulfilled', 'rejected']);
      await until(() => heardByOne.last()?.nodes.a && heardByTwo.last()?.nodes.a, 'the node');
      expect(heardByOne.last()).toEqual(heardByTwo.last());
    });

    test('decisions about different fields of one node, made at once, both hold', async () => {
      await Promise.all([one.decide('a', { weight: 7 }), two.decide('a', { state: 'disabled' })]);
      const both = { a: { weight: 7, state: 'disabled' } };
      await until(() => heardByOne.last()?.decisions.a?.state, 'the state');
      await until(() => heardByTwo.last()?.decisions.a?.weight, 'the weight');
      expect([heardByOne.last()?.decisions, heardByTwo.last()?.decisions]).toEqual([both, both]);
    });

    test('one who comes later is told what is there', async () => {
      await one.addNode(node('a'));
      const heard = new Recorder();
      const three = fixture.store('three');
      await three.open(heard);
      expect(heard.nodeIds()).toEqual(['a']);
      await three.close();
    });

    test('both see both live, and one that leaves is gone', async () => {
      await bothLive();
      await one.leaveProxy('one');
      await until(() => heardByTwo.proxyIds().join() === 'two', 'one to be gone');
    });

    test('a late node is late at both', async () => {
      await one.beatNode(node('a', { source: 'self' }), 1, LONG_MS);
      await until(() => heardByOne.last()?.nodes.a?.late && heardByTwo.last()?.nodes.a?.late, 'lateness');
      await two.beatNode(node('a', { source: 'self' }), LONG_MS, LONG_MS);
      await until(() => heardByOne.last()?.nodes.a?.late === false, 'the node to be in time');
    });

    test("another proxy's claim is told, and one's own is not", async () => {
      const epoch = await one.claimClient(client('d'), { node: 'a', proxy: 'one', who: 7 }, LONG_MS);
      await until(() => heardByTwo.claims.length > 0, 'the claim');
      expect(heardByTwo.claims).toEqual([[client('d'), { node: 'a', proxy: 'one', who: 7, epoch }]]);
      const newer = await two.claimClient(client('d'), { node: 'b', proxy: 'two', who: 7 }, LONG_MS);
      await until(() => heardByOne.claims.length > 0, 'the newer claim');
      expect(heardByOne.claims).toEqual([[client('d'), { node: 'b', proxy: 'two', who: 7, epoch: newer }]]);
      expect(await one.recallClient(client('d'))).toEqual({ node: 'b', proxy: 'two', who: 7, epoch: newer });
    });

    test('whoever renews what another proxy has claimed is told of it', async () => {
      await one.claimClient(client('d'), { node: 'a', proxy: 'one', who: 7 }, LONG_MS);
      const epoch = await two.claimClient(client('d'), { node: 'b', proxy: 'two', who: 7 }, LONG_MS);
      await until(() => heardByOne.claims.length > 0, 'the claim');
      heardByOne.claims.length = 0; // as if its message had been lost
      await one.renewClients('one', [client('other'), client('d')], LONG_MS);
      expect(heardByOne.claims).toEqual([[client('d'), { node: 'b', proxy: 'two', who: 7, epoch }]]);
    });

    test('a session that rests at one is taken by the other, and is then not at the first any more', async () => {
      const session = { who: 7, subscriptions: 'AAAA' };
      await one.takeSession(client('d'), 'one-1', 'anyway');
      expect(await one.keepSession(client('d'), 'one-1', session, LONG_MS)).toBe(true);
      expect(await two.takeSession(client('d'), 'two-1', 'first')).toEqual(session);
      expect(await one.takeSession(client('d'), 'one-2', 'first')).toBe('in-use');
      expect(await one.keepSession(client('d'), 'one-1', session, LONG_MS)).toBe(false);
      expect(await two.keepSession(client('d'), 'two-1', session, LONG_MS)).toBe(true);
      expect(await one.takeSession(client('d'), 'one-2', 'again')).toEqual(session);
    });

    test('what is shared is the same for both, whoever is first', async () => {
      const first = await Promise.all([one.share('a', 'of one'), two.share('a', 'of two')]);
      expect(first[0]).toBe(first[1]);
      expect(await one.share('a', 'new', first[0])).toBe('new');
      expect(await two.share('a', 'newer', first[0])).toBe('new');
      expect(await two.share('a', 'newer', 'new')).toBe('newer');
      expect(await one.share('a', 'x', 'new')).toBe('newer');
    });

    test('the others answer a question, without waiting for its time-out', async () => {
      await bothLive();
      heardByTwo.answer = async (question) => ({ from: 'two', question });
      expect(await one.ask({ list: 'clients' }, LONG_MS)).toEqual({
        given: new Map([['two', { from: 'two', question: { list: 'clients' } }]]),
        missing: [],
      });
    });

    const nothingFromTwo = { given: new Map(), missing: ['two'] };

    test('who cannot answer is missing, and not waited for', async () => {
      await bothLive();
      heardByTwo.answer = () => Promise.reject(new Error('busy'));
      expect(await one.ask('?', LONG_MS)).toEqual(nothingFromTwo);
      heardByTwo.answer = async () => 'x'.repeat(2 * 1024 * 1024);
      expect(await one.ask('?', LONG_MS)).toEqual(nothingFromTwo);
    });

    test('who does not answer in time is missing', async () => {
      await bothLive();
      heardByTwo.answer = () => new Promise(() => {});
      expect(await one.ask('?', 100)).toEqual(nothingFromTwo);
    });

    test('one proxy may be asked, and the others hear nothing', async () => {
      await bothLive();
      const three = fixture.store('three');
      const heardByThree = new Recorder();
      await three.open(heardByThree);
      await three.beatProxy(beat('three'), LONG_MS);
      const asked: unknown[] = [];
      heardByThree.answer = async (question) => asked.push(question);
      expect(await one.ask('?', LONG_MS, 'two')).toEqual({ given: new Map([['two', '?']]), missing: [] });
      expect(asked).toEqual([]);
      await three.close();
    });

    test('a question of more than 1 MiB is refused', async () => {
      const question = one.ask('x'.repeat(1024 * 1024), LONG_MS);
      await expect(question).rejects.toMatchObject({ code: 'REQUEST_INVALID' });
    });

    test('questions that cross are told apart', async () => {
      await bothLive();
      heardByTwo.answer = async (question) => question;
      heardByOne.answer = async (question) => question;
      const answers = await Promise.all([one.ask(1, LONG_MS), two.ask(2, LONG_MS), one.ask(3, LONG_MS)]);
      expect(answers.map(({ given }) => [...given.values()])).toEqual([[1], [2], [3]]);
    });
  });
}
