import type { Socket } from 'node:net';
import { afterAll, afterEach, beforeEach, expect } from 'vitest';
import type { EngineUnderTest } from './engine-under-test.ts';
import { type FakeNode, fakeNode } from './fake-node.ts';

/**
 * The scene of each test of an engine: a node of its own, and connections that do nothing by themselves. Behind it no socket
 * that was put into what this returns is open, and the engine has met no fault; behind the last the engine stops.
 */
export function engineScene(engine: () => EngineUnderTest, useNode: (node: FakeNode) => void): Socket[] {
  const sockets: Socket[] = [];
  let node: FakeNode;
  beforeEach(async () => {
    node = await fakeNode();
    useNode(node);
    await engine().script('manual');
  });
  afterEach(() => {
    for (const socket of sockets.splice(0)) socket.destroy();
    node.stop();
    expect(engine().faults.splice(0)).toEqual([]);
  });
  afterAll(() => engine().stop());
  return sockets;
}
