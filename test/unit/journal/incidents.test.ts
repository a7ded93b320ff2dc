import { describe, expect, it } from 'vitest';
import type { BreakwaterEvent } from '../../../src/journal/event.ts';
import { mergeIncidents } from '../../../src/journal/incident.ts';
import { incidentText } from '../../../src/journal/incident-text.ts';
import { Incidents } from '../../../src/journal/incidents.ts';

const START = Date.parse('2026-01-01T03:12:07.000Z');

function scene() {
  const clock = { nowMs: START, now: () => clock.nowMs };
  const begun: string[] = [];
  const incidents = new Incidents(clock, (kind) => begun.push(kind));
  const tell = (event: Omit<BreakwaterEvent, 'at'>) =>
    incidents.observe({ at: '', ...event } as BreakwaterEvent);
  const move = (clientId: string, to: string | undefined, more: object = {}) =>
    tell({
      ...{ type: 'reattached', clientId, from: 'emqx-2', to, cause: 'link-lost', evidence: 'refused' },
      ...{ duration: 0.2, ...more },
    });
  const texts = () =>
    mergeIncidents(incidents.list().map((incident) => ({ proxy: 'p', incident }))).map(incidentText);
  return { clock, incidents, tell, move, texts, begun };
}

describe('incidents', () => {
  it('go on in the process after this one', () => {
    const { clock, incidents, tell, move } = scene();
    const begun: string[] = [];
    const other = new Incidents(clock, (kind) => begun.push(kind));
    tell({ type: 'node-lost', node: 'emqx-2', evidence: 'refused', detail: 'ECONNREFUSED', lost: 3, had: 3 });
    tell({ type: 'node-health', node: 'emqx-2', health: 'unhealthy', cause: 'gone' });
    move('m-1', 'emqx-1');
    other.restore(structuredClone(incidents.describe()));
    expect(other.list()).toEqual(incidents.list());
    clock.nowMs += 60_000;
    for (const each of [incidents, other])
      each.observe({ type: 'node-health', at: '', node: 'emqx-2', health: 'healthy', cause: 'back' });
    expect(other.list()).toEqual(incidents.list());
    expect(begun).toEqual([]); // what began before does not begin again
  });

  it('a node that is lost: its moves, where to, how long, by what evidence', () => {
    const { clock, tell, move, texts, begun } = scene();
    clock.nowMs += 200;
    tell({
      type: 'node-lost',
      node: 'emqx-2',
      evidence: 'refused',
      detail: 'ECONNREFUSED',
      lost: 334,
      had: 334,
    });
    for (let i = 0; i < 170; i++) move(`m-${i}`, 'emqx-1');
    clock.nowMs += 600;
    for (let i = 170; i < 334; i++) move(`m-${i}`, 'emqx-3');
    tell({ type: 'node-health', node: 'emqx-2', health: 'unhealthy', cause: 'no sign of life 3 times' });
    expect(texts()).toEqual([
      'emqx-2 lost at 03:12:07: 334 sessions moved to emqx-1 (170) and emqx-3 (164) in 0.8 s, 0 disconnected, evidence refused (no sign of life 3 times)',
    ]);
    expect(begun).toEqual(['node-lost']);
  });

  it('goes on while the node is unhealthy, and what comes later is another one', () => {
    const { clock, incidents, tell, move } = scene();
    tell({ type: 'node-health', node: 'emqx-2', health: 'unhealthy', cause: 'tcp probe failed' });
    clock.nowMs += 3_600_000;
    move('late', 'emqx-1');
    expect(incidents.list()).toMatchObject([{ isOver: false, moves: [['emqx-1', 1]] }]);
    tell({ type: 'node-health', node: 'emqx-2', health: 'healthy', cause: '2 probes succeeded' });
    clock.nowMs += 60_000;
    expect(incidents.list()).toMatchObject([{ isOver: true }]);
    move('again', 'emqx-1');
    expect(incidents.list()).toHaveLength(2);
  });

  it('a node that is unhealthy where no device was touched is not called lost', () => {
    const { clock, tell, texts } = scene();
    tell({ type: 'node-health', node: 'emqx-2', health: 'unhealthy', cause: 'tcp probe failed' });
    expect(texts()).toEqual(['emqx-2 unhealthy at 03:12:07, and still is (tcp probe failed)']);
    clock.nowMs += 60_000;
    tell({ type: 'node-health', node: 'emqx-2', health: 'healthy', cause: '2 probes succeeded' });
    clock.nowMs += 20_000;
    expect(texts()).toEqual(['emqx-2 unhealthy at 03:12:07, for 60 s (tcp probe failed)']);
  });

  it('devices that were disconnected: those before the node was known to be lost too', () => {
    const { tell, incidents } = scene();
    for (const reason of ['node-reset', 'node-closed', 'kicked', 'device-closed'])
      tell({ type: 'ended', clientId: reason, node: 'emqx-2', reason });
    tell({ type: 'node-lost', node: 'emqx-2', evidence: 'refused' });
    tell({ type: 'ended', clientId: 'x', node: 'emqx-2', reason: 'node-reset' });
    tell({ type: 'ended', clientId: 'y', node: 'emqx-1', reason: 'node-reset' });
    expect(incidents.list()).toMatchObject([{ subject: 'emqx-2', disconnected: 3 }]);
  });

  it('a device that no node took ends at another node than the one that it lost', () => {
    const { tell, move, incidents } = scene();
    move('m-1', undefined);
    tell({ type: 'ended', clientId: 'm-1', node: 'emqx-3', reason: 'no-node' });
    expect(incidents.list()).toMatchObject([{ subject: 'emqx-2', failed: 1, disconnected: 1 }]);
  });

  it('a kick at a node that lives is none', () => {
    const { tell, move, incidents } = scene();
    tell({ type: 'ended', clientId: 'm-1', node: 'emqx-2', reason: 'node-closed' });
    move('m-2', 'emqx-1', { cause: 'move', evidence: undefined });
    move('m-3', 'emqx-1', { evidence: 'own-connect' });
    expect(incidents.list()).toEqual([]);
  });

  it('a drain and a rebalance are told apart from a loss', () => {
    const { move, incidents } = scene();
    move('m-1', 'emqx-1', { cause: 'drain', evidence: undefined });
    move('m-2', 'emqx-1', { evidence: 'leaving' });
    move('m-3', 'emqx-1', { cause: 'rebalance', evidence: undefined });
    expect(incidents.list().map(({ kind, moves }) => [kind, moves])).toEqual([
      ['rebalance', [['emqx-1', 1]]],
      ['drain', [['emqx-1', 2]]],
    ]);
  });

  it('an outage of the store lasts from one word to the other', () => {
    const { clock, tell, texts, begun } = scene();
    tell({ type: 'store', state: 'down', cause: 'ECONNREFUSED' });
    tell({ type: 'store', state: 'down', cause: 'ECONNREFUSED' });
    expect(texts()).toEqual(['the membership store was away at 03:12:07, and still is (ECONNREFUSED)']);
    clock.nowMs += 100_000;
    tell({ type: 'store', state: 'up' });
    expect(texts()).toEqual(['the membership store was away at 03:12:07, for 100 s (ECONNREFUSED)']);
    expect(begun).toEqual(['store-outage']);
  });

  it('refusals are one when they are many, or there is no node', () => {
    const { clock, tell, incidents } = scene();
    tell({ type: 'refusals', reason: 'not-mqtt', count: 9 });
    tell({ type: 'refusals', reason: 'no-node', count: 1 });
    tell({ type: 'refusals', reason: 'malformed', count: 10 });
    clock.nowMs += 60_000;
    tell({ type: 'refusals', reason: 'malformed', count: 2 });
    expect(incidents.list().map(({ subject, count }) => [subject, count])).toEqual([
      ['malformed', 12],
      ['no-node', 1],
    ]);
  });

  it('keeps so many of each kind, whatever there are of others', () => {
    const { clock, tell, incidents } = scene();
    tell({ type: 'store', state: 'down' });
    for (let i = 0; i < 10_000; i++) {
      clock.nowMs += 1;
      tell({ type: 'reload', result: 'refused', cause: `${i}` });
    }
    const kinds = incidents.list().map(({ kind }) => kind);
    expect(kinds.filter((kind) => kind === 'reload-refused')).toHaveLength(200);
    expect(kinds).toContain('store-outage');
  });
});

describe('what several proxies know', () => {
  const known = (proxy: string, shiftMs: number, to: string) => {
    const { clock, incidents, move } = scene();
    clock.nowMs += shiftMs;
    move('m', to);
    move('n', 'emqx-1');
    clock.nowMs = START + 1_000_000;
    return incidents.list().map((incident) => ({ proxy, incident }));
  };

  it('is one incident where it is of one node at one time', () => {
    const [merged, ...more] = mergeIncidents([...known('p1', 0, 'emqx-1'), ...known('p2', 3_000, 'emqx-3')]);
    expect(more).toEqual([]);
    expect(merged).toMatchObject({
      proxies: ['p1', 'p2'],
      moves: [
        ['emqx-1', 3],
        ['emqx-3', 1],
      ],
    });
    expect(merged?.movesToMs).toBe(START + 3_000);
  });

  it('is told alike whichever of them is asked, also where they saw it in the same millisecond', () => {
    const [one, two] = [known('p1', 0, 'emqx-1'), known('p2', 0, 'emqx-3')];
    expect(mergeIncidents([...two, ...one])).toEqual(mergeIncidents([...one, ...two]));
  });

  it('and two where it was at another time', () => {
    const merged = mergeIncidents([...known('p1', 0, 'emqx-1'), ...known('p2', 600_000, 'emqx-3')]);
    expect(merged.map(({ proxies }) => proxies)).toEqual([['p2'], ['p1']]);
  });
});
