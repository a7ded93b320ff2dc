import { expect, test } from 'vitest';
import type { Evidence } from '../../../src/connection/evidence.ts';
import { LostLinks } from '../../../src/data-plane/lost-links.ts';
import type { WorkerEvent } from '../../../src/data-plane-api/messages.ts';

function open() {
  let nowMs = 1_000;
  const faults = new Map<number, 'unhealthy' | 'leaving' | 'removed'>();
  const told: WorkerEvent[] = [];
  const lostLinks = new LostLinks({
    table: { faultOf: (slot) => faults.get(slot) },
    now: () => nowMs,
    tell: (event) => told.push(event),
  });
  const judged: string[] = [];
  const lose = (name: string, attachedAtMs = 0, slot = 0) => {
    const asker = {
      ...{ target: { slot, nodeId: `node-${slot}`, host: '', port: 0 }, attachedAtMs },
      judged: (evidence: Evidence | undefined) => judged.push(`${name}: ${evidence ?? 'lives'}`),
    };
    return { asker, known: lostLinks.evidence(asker, attachedAtMs) };
  };
  const answer = (evidence: Evidence | undefined, asOfMs: number, node = 'node-0') =>
    lostLinks.answered({ node, evidence, asOfMs });
  const at = (ms: number) => {
    nowMs = ms;
  };
  return { lostLinks, lose, answer, at, faults, told, judged };
}

test('the main thread is asked, and its word is for the links of that node', () => {
  const { lose, answer, told, judged } = open();
  expect([lose('a').known, lose('b').known, lose('c', 0, 1).known]).toEqual([
    undefined,
    undefined,
    undefined,
  ]);
  expect(told[0]).toEqual({ type: 'link-lost', node: 'node-0', devices: [], had: 0, askedAtMs: 1_000 });
  answer('refused', 1_001);
  answer('refused', 1_002);
  expect(judged).toEqual(['a: refused', 'b: refused']);
});

test.each([
  'unhealthy',
  'leaving',
  'removed',
] as const)('what the table says of the node is evidence enough: %s', (fault) => {
  const { lose, faults, told } = open();
  faults.set(0, fault);
  expect([lose('a').known, told]).toEqual([fault, []]);
});

test('that a node lived says nothing of a link that was lost later', () => {
  const { lose, answer, at, judged } = open();
  lose('a');
  at(1_002);
  lose('b');
  answer(undefined, 1_001);
  expect(judged).toEqual(['a: lives']);
  answer('refused', 1_003);
  expect(judged).toEqual(['a: lives', 'b: refused']);
});

test('that it was gone holds for all links of before, and no other: it may have been started again', () => {
  const { lose, answer, at, judged, told } = open();
  lose('old', 900);
  lose('new', 1_100);
  answer('refused', 1_050);
  expect(judged).toEqual(['old: refused']);
  at(1_200);
  expect([lose('slow', 1_000).known, lose('newer', 1_100).known]).toEqual(['refused', undefined]);
  expect(told).toHaveLength(3);
  at(7_000);
  expect(lose('late', 1_000).known).toBe(undefined);
});

test('who is gone hears nothing', () => {
  const { lostLinks, lose, answer, judged } = open();
  lostLinks.forget(lose('a').asker);
  answer('refused', 2_000);
  expect(judged).toEqual([]);
});
