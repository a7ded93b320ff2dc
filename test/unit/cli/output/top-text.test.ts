import { expect, test } from 'vitest';
import type { NodeView } from '../../../../src/admin/backend.ts';
import { readMessages, type TopLook, topOrder, topText } from '../../../../src/cli/output/top-text.ts';
import { createMemoryBackend, memoryNode } from '../../../support/memory-backend.ts';

const AT_MS = Date.parse('2026-01-01T03:12:08Z');
const plain = { prompt: '', colour: false };

function look(nodes: readonly NodeView[], more: Partial<TopLook> = {}): TopLook {
  const backend = createMemoryBackend(nodes);
  const { status, pools } = { status: backend.status(), pools: backend.pools() };
  return { atMs: AT_MS, status, nodes, pools, incidents: [], ...more };
}

const lost = {
  ...{
    id: '1',
    kind: 'node-lost' as const,
    summary: 'emqx-2 lost: 334 sessions moved',
    from: '2026-01-01T03:12:07.5Z',
  },
  ...{ to: '2026-01-01T03:12:08Z', moved: 334, movedTo: [], failed: 0, disconnected: 0, proxies: ['edge-1'] },
};

test('nodes that need attention come first', () => {
  const nodes = [
    memoryNode('off', { state: 'disabled' }),
    memoryNode('b'),
    memoryNode('a'),
    memoryNode('ill', { health: 'unhealthy' }),
    memoryNode('leaving', { state: 'draining' }),
  ];
  expect(topOrder(nodes).map(({ id }) => id)).toEqual(['ill', 'leaving', 'a', 'b', 'off']);
});

test('it shows what is wrong with what helps, nodes with their cause, and what happened', () => {
  const nodes = [memoryNode('a'), memoryNode('b', { health: 'unhealthy', healthCause: 'ECONNREFUSED' })];
  const text = topText(look(nodes, { incidents: [lost] }), undefined, plain);
  expect(text).toContain('2026-01-01T03:12:08Z  cluster default  proxy edge-1 ready  store memory up\n');
  expect(text).toContain('! node b is unhealthy: ECONNREFUSED\n    breakwater node inspect b\n');
  expect(text).toMatch(/\n +b {5}default +enabled +unhealthy .*ECONNREFUSED\n/);
  expect(text).toMatch(/\n03:12:07 {2}emqx-2 lost: 334 sessions moved$/);
});

test('rates are between two looks; of a counter that began anew there is none', () => {
  const at = (connectsTotal: number, fromDevices: number, atMs: number) =>
    look([memoryNode('a', { connectsTotal })], { atMs, messages: { fromDevices, toDevices: 0 } });
  const later = topText(at(123, 5000, AT_MS), at(100, 1000, AT_MS - 2000), plain);
  expect(later).toContain('packets in 2000/s  out 0.0/s');
  expect(later).toMatch(/ {2}12\/s/);
  expect(topText(at(3, 1, AT_MS), at(100, 1000, AT_MS - 2000), plain)).toContain('packets in -  out 0.0/s');
  expect(topText(at(3, 1, AT_MS), undefined, plain)).toContain('connects -');
});

test('the share is that of the pool, by weight', () => {
  const nodes = [memoryNode('a', { connections: 30 }), memoryNode('b', { connections: 30, weight: 20 })];
  const text = topText(look(nodes), undefined, plain);
  expect(text).toMatch(/ a .* 30 +150%/);
  expect(text).toMatch(/ b .* 30 +75%/);
});

test('on a terminal it never has more rows, and the selected node is among them', () => {
  const nodes = Array.from({ length: 200 }, (_, i) => memoryNode(`n${String(i).padStart(3, '0')}`));
  const size = { rows: 20, columns: 80 };
  for (const selected of ['n000', 'n100', 'n199']) {
    const lines = topText(look(nodes), undefined, { size, selected, prompt: 'q: quit', colour: false }).split(
      '\n',
    );
    expect(lines.length).toBeLessThanOrEqual(19);
    expect(lines.some((line) => line.startsWith(`>  ${selected} `))).toBe(true);
    expect(lines.at(-1)).toBe('q: quit');
  }
});

test('packets are summed over their types', () => {
  const metrics = `# TYPE breakwater_messages_total counter
breakwater_messages_total{direction="from_device",type="publish"} 10
breakwater_messages_total{direction="from_device",type="pingreq"} 5
breakwater_messages_total{direction="to_device",type="puback"} 7
breakwater_bytes_total{direction="from_device"} 99
`;
  expect(readMessages(metrics)).toEqual({ fromDevices: 15, toDevices: 7 });
});
