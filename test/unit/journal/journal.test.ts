import { describe, expect, it } from 'vitest';
import { type BreakwaterEvent, eventKinds } from '../../../src/journal/event.ts';
import { Journal, parseSince } from '../../../src/journal/journal.ts';

const AT = '2026-01-01T00:00:00.000Z';

function scene() {
  const clock = { nowMs: 1_000_000, now: () => clock.nowMs };
  const journal = new Journal('abc1', clock);
  const add = (event: Omit<BreakwaterEvent, 'at'>) => journal.add({ at: AT, ...event } as BreakwaterEvent);
  const types = (...asked: Parameters<Journal['read']>) =>
    journal.read(...asked).map(({ event }) => event.type);
  return { clock, journal, add, types };
}

describe('the journal', () => {
  it('goes on in the process after this one: ids and order are as they would have been', () => {
    const { clock, journal, add } = scene();
    const other = new Journal('other', clock);
    for (let i = 0; i < 5; i++) add({ type: i % 2 === 0 ? 'placed' : 'node-health', node: `n${i}` });
    other.restore(structuredClone(journal.describe()));
    for (const each of [journal, other]) each.add({ type: 'ended', at: AT, node: 'n9' });
    expect(other.read({})).toEqual(journal.read({}));
    const ids = (each: Journal) => each.read({}).map((entry) => each.idOf(entry));
    expect(ids(other)).toEqual(ids(journal));
  });

  it('keeps so many of each kind: a storm of one hides no other', () => {
    const { journal, add } = scene();
    add({ type: 'node-health', node: 'a', health: 'unhealthy' });
    for (let i = 0; i < 100_000; i++) add({ type: 'rejected', reason: 'not-mqtt', remoteAddress: `${i}` });
    const kept = journal.read({});
    expect(kept).toHaveLength(1 + eventKinds.refusal.keep);
    expect(kept[0]?.event).toMatchObject({ type: 'node-health', node: 'a' });
    expect(kept.at(-1)?.event.remoteAddress).toBe('99999');
  });

  it('gives events of all kinds in the order in which they happened', () => {
    const { add, types } = scene();
    for (const type of ['placed', 'node-added', 'admin', 'ended', 'store'] as const) add({ type });
    expect(types({})).toEqual(['placed', 'node-added', 'admin', 'ended', 'store']);
  });

  it('goes on behind the id of an event: nothing twice, nothing left out', () => {
    const { journal, add } = scene();
    const entries = Array.from({ length: 50 }, (_, i) =>
      add({ type: i % 2 === 0 ? 'placed' : 'node-state', node: `n${i}` }),
    );
    for (const [i, entry] of entries.entries()) {
      const behind = journal.read({}, parseSince(journal.idOf(entry)));
      expect(behind.map(({ event }) => event.node)).toEqual(
        entries.slice(i + 1).map(({ event }) => event.node),
      );
    }
  });

  it('says whether more has happened than it keeps', () => {
    const { journal, add } = scene();
    const { keep } = eventKinds.refusal;
    const since = journal.position();
    const refuse = (times: number) => {
      for (let i = 0; i < times; i++) add({ type: 'rejected' });
    };
    refuse(keep);
    expect(journal.hasForgotten(undefined, since)).toBe(false);
    refuse(1);
    expect(journal.hasForgotten(undefined, since)).toBe(true);
    expect(journal.hasForgotten(['node'], since)).toBe(false);
    expect(journal.hasForgotten(undefined, journal.position())).toBe(false);
  });

  it('goes on by time behind an event of another proxy, and from a time on', () => {
    const { clock, journal, add, types } = scene();
    const other = new Journal('other', clock);
    add({ type: 'placed' });
    clock.nowMs += 10;
    const id = other.idOf(other.add({ type: 'placed', at: AT }));
    add({ type: 'ended' });
    expect(types({}, parseSince(id))).toEqual(['ended']);
    expect(types({}, parseSince(new Date(clock.nowMs).toISOString()))).toEqual(['ended']);
    expect(journal.read({}, parseSince(new Date(0).toISOString()))).toHaveLength(2);
  });

  it.each([
    '',
    'x',
    'abc-1',
    'abc-1-',
    '-1-1',
    'abc-1-1x',
    '17',
    '2026-13-01',
    '2026-02',
    '2026-1-1 x',
    `${'a'.repeat(40)}-1-1`,
  ])('%j is neither an id nor a time', (text) => expect(parseSince(text)).toBeUndefined());

  it('gives only what is asked for', () => {
    const { add, types } = scene();
    add({ type: 'placed', clientId: 'm-1', node: 'a' });
    add({ type: 'reattached', clientId: 'm-1', from: 'a', to: 'b' });
    add({ type: 'placed', clientId: 'm-2', node: 'b' });
    expect(types({ client: 'm-1' })).toEqual(['placed', 'reattached']);
    expect(types({ node: 'a' })).toEqual(['placed', 'reattached']);
    expect(types({ node: 'b' })).toEqual(['reattached', 'placed']);
    expect(types({ kinds: ['move'] })).toEqual(['reattached']);
    expect(types({ kinds: ['move', 'device'], client: 'm-2' })).toEqual(['placed']);
  });

  it('cuts what is longer than a name', () => {
    const { journal, add } = scene();
    add({ type: 'admin', path: 'x'.repeat(100_000) });
    expect(String(journal.read({})[0]?.event.path).length).toBeLessThan(600);
  });
});
