import { expect, test } from 'vitest';
import { NodeTable } from '../../../src/nodes/table.ts';
import { watchNodes } from '../../../src/proxy/node-events.ts';
import { silentLog } from '../../support/memory-backend.ts';

function scene() {
  const nodes = new NodeTable();
  const lines: string[] = [];
  const say = (_fields: unknown, message?: string) => void lines.push(message ?? '');
  watchNodes(nodes, { ...silentLog, info: say, warn: say, error: say }, () => {});
  const put = (id: string) =>
    nodes.put({ id, pool: 'p', url: `mqtt://${id}:1883`, weight: 10, source: 'config' });
  const told = async () => {
    await Promise.resolve();
    return lines.splice(0).filter((line) => line.includes('panic'));
  };
  return { nodes, put, told };
}

test('a pool without a healthy node is told of, and its end', async () => {
  const { nodes, put, told } = scene();
  put('a');
  nodes.setHealth('a', 'unhealthy', 'test');
  expect(await told()).toEqual(['no healthy node: trying all of them (panic mode)']);
  put('b');
  expect(await told()).toEqual(['a node is healthy again: panic mode ended']);
});

test('one whose nodes leave one after the other is not', async () => {
  const { nodes, put, told } = scene();
  put('a');
  put('b');
  nodes.setHealth('b', 'unhealthy', 'test');
  nodes.remove('a');
  nodes.remove('b');
  expect(await told()).toEqual([]);
});
