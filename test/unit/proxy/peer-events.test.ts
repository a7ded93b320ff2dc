import { expect, test } from 'vitest';
import type { EventReader, KeptEvent, PeersTold } from '../../../src/admin/journal-views.ts';
import { type BreakwaterEvent, eventKinds } from '../../../src/journal/event.ts';
import { Journal, parseSince } from '../../../src/journal/journal.ts';
import { createOthers } from '../../../src/membership/other-proxies.ts';
import { createTopics, type Topics } from '../../../src/membership/store/topics.ts';
import { createPeerEvents } from '../../../src/proxy/peer-events.ts';
import { fakeTime } from '../../support/fake-time.ts';

/** Proxies of one cluster that ask each other, of which some may be silent. */
function cluster(...ids: string[]) {
  const time = fakeTime();
  const silent = new Set<string>();
  const listened: string[] = [];
  const asked: number[] = [];
  const topicsOf = new Map<string, Topics>();
  /** What happens while the first question is on its way. */
  const onTheWay: (() => void)[] = [];
  const clock = { now: () => 1_800_000_000_000 + time.clock.now() };

  function proxy(id: string) {
    const journal = new Journal(`start${id}`, clock);
    const ask = async (question: unknown) => {
      const given = new Map<string, unknown>();
      const missing: string[] = [];
      asked.push(time.clock.now());
      onTheWay.shift()?.();
      for (const [other, topics] of topicsOf) {
        if (other === id) continue;
        if (silent.has(other)) missing.push(other);
        else
          given.set(
            other,
            JSON.parse(JSON.stringify(await topics.answer(JSON.parse(JSON.stringify(question))))),
          );
      }
      return { given, missing };
    };
    const topics = createTopics({ ask }, () => expect.unreachable());
    topicsOf.set(id, topics);
    const others = createOthers(() => ids.filter((other) => other !== id));
    const events = createPeerEvents({
      ...{ proxyId: id, journal, topics, others, clock, timers: time.timers },
      listen: () => listened.push(id),
    });
    const add = (type: BreakwaterEvent['type'], node: string) =>
      journal.idOf(journal.add({ type, node, at: new Date(clock.now()).toISOString() }));
    return { events, journal, add };
  }
  return { time, silent, listened, asked, clock, onTheWay, proxies: ids.map(proxy) };
}

/** The first question is answered. */
const begun = () => new Promise((resolve) => setImmediate(resolve));

function reader(kinds?: readonly (keyof typeof eventKinds)[]) {
  const told: KeptEvent[] = [];
  const peers: PeersTold[] = [];
  const self: EventReader = {
    kinds: () => kinds,
    tell: (event) => told.push(event),
    tellPeers: (state) => peers.push(state),
  };
  return { self, peers, told, names: () => told.map(({ proxy, node }) => `${proxy} ${node}`) };
}

test('what happens at other proxies from now on is told once, in their order', async () => {
  const { time, listened, proxies } = cluster('a', 'b', 'c');
  const [a, b, c] = proxies as [(typeof proxies)[0], (typeof proxies)[0], (typeof proxies)[0]];
  b.add('node-health', 'before');
  await time.pass(1);
  const { self, names, peers } = reader();
  const stop = a.events.follow(self);
  await begun();
  b.add('node-health', '1');
  b.add('placed', '2');
  c.add('node-health', '3');
  await time.pass(1_000);
  b.add('node-health', '4');
  await time.pass(3_000);
  expect(names()).toEqual(['b 1', 'b 2', 'c 3', 'b 4']);
  expect(peers).toEqual([]);
  expect(new Set(listened)).toEqual(new Set(['b', 'c']));
  stop();
  expect(time.pending()).toBe(0);
});

test('what happens at another proxy before it hears the first question is told', async () => {
  const { time, proxies, onTheWay } = cluster('a', 'b');
  const [a, b] = proxies as [(typeof proxies)[0], (typeof proxies)[0]];
  b.add('node-health', 'before');
  await time.pass(1);
  onTheWay.push(() => b.add('node-health', '1'));
  const { self, names } = reader();
  const stop = a.events.follow(self);
  await begun();
  expect(names()).toEqual(['b 1']);
  b.add('node-health', '2');
  await time.pass(3_000);
  expect(names()).toEqual(['b 1', 'b 2']);
  stop();
});

test('only the kinds that are read are asked for', async () => {
  const { time, proxies } = cluster('a', 'b');
  const [a, b] = proxies as [(typeof proxies)[0], (typeof proxies)[0]];
  const { self, names } = reader(['node']);
  const stop = a.events.follow(self);
  await begun();
  b.add('placed', 'no');
  b.add('node-health', 'yes');
  await time.pass(1_000);
  expect(names()).toEqual(['b yes']);
  stop();
});

test('a proxy that does not answer is named, and what happened there is told when it does', async () => {
  const { time, silent, proxies } = cluster('a', 'b');
  const [a, b] = proxies as [(typeof proxies)[0], (typeof proxies)[0]];
  silent.add('b');
  const { self, names, peers } = reader();
  const stop = a.events.follow(self);
  await begun();
  b.add('node-health', '1');
  await time.pass(3_000);
  expect(peers).toEqual([{ missing: ['b'], cut: [] }]);
  silent.clear();
  await time.pass(1_000);
  expect(names()).toEqual(['b 1']);
  expect(peers.at(-1)).toEqual({ missing: [], cut: [] });
  silent.add('b');
  await time.pass(2_000);
  b.add('node-health', '2');
  silent.clear();
  await time.pass(1_000);
  expect(names()).toEqual(['b 1', 'b 2']);
  stop();
});

test('a storm comes in many answers; what is kept no longer is said to be left out', async () => {
  const { time, proxies } = cluster('a', 'b');
  const [a, b] = proxies as [(typeof proxies)[0], (typeof proxies)[0]];
  const { self, told, peers } = reader();
  const stop = a.events.follow(self);
  await begun();
  const { keep } = eventKinds.device;
  for (let i = 0; i < keep; i++) b.add('placed', `${i}`);
  await time.pass(3_000);
  expect(told).toHaveLength(keep);
  expect(peers).toEqual([]);
  for (let i = 0; i < keep + 1; i++) b.add('placed', `${i}`);
  await time.pass(3_000);
  expect(told).toHaveLength(2 * keep);
  expect(peers[0]).toEqual({ missing: [], cut: ['b'] });
  stop();
});

test('nobody is asked more than once a second', async () => {
  const { time, asked, proxies } = cluster('a', 'b');
  const stop = (proxies[0] as (typeof proxies)[0]).events.follow(reader().self);
  await time.pass(10_000);
  expect(asked.length).toBeLessThanOrEqual(11);
  stop();
  await time.pass(10_000);
  expect(asked.length).toBeLessThanOrEqual(11);
});

test('behind an event of one proxy the others tell from a moment before it', async () => {
  const { time, proxies } = cluster('a', 'b', 'c');
  const [a, b, c] = proxies as [(typeof proxies)[0], (typeof proxies)[0], (typeof proxies)[0]];
  c.add('node-health', 'old');
  await time.pass(10_000);
  c.add('node-health', 'just before');
  await time.pass(2_000);
  const id = b.add('node-health', 'last read');
  b.add('node-health', 'next');
  const since = parseSince(id);
  if (since === undefined) throw new Error(`no id: ${id}`);
  const { events, missing } = await a.events.past({ since });
  expect(events.map(({ node }) => node).toSorted()).toEqual(['just before', 'next']);
  expect(missing).toEqual([]);
});
