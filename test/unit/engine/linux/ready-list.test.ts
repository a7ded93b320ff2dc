import { describe, expect, it } from 'vitest';
import { ReadyList, ReadyReads } from '../../../../src/engine/linux/ready-list.ts';
import { SocketStates } from '../../../../src/engine/linux/socket-state.ts';

/** All of them can be read. */
const SOCKETS = 20;

function sockets(): SocketStates {
  const states = new SocketStates(SOCKETS);
  for (let fd = 0; fd < SOCKETS; fd++) states.enterDevice(fd);
  return states;
}

/** Serving one takes a millisecond. */
function slowly() {
  const served: number[] = [];
  let nowMs = 0;
  const each = (fd: number): void => {
    served.push(fd);
    nowMs++;
  };
  return { served, each, clock: { now: () => nowMs } };
}

describe('sockets that are ready', () => {
  it('are served once, in order; those that are added meanwhile wait for the next time', () => {
    const list = new ReadyList(sockets());
    const { served, each } = slowly();
    for (const fd of [3, 1, 3, 2]) list.add(fd);
    list.serve((fd) => {
      each(fd);
      list.add(fd);
    });
    expect(served).toEqual([3, 1, 2]);
    expect(list.isEmpty).toBe(false);
  });

  it('for which there was no time are served before those that are added meanwhile', () => {
    const list = new ReadyList(sockets());
    const { served, each, clock } = slowly();
    for (const fd of [1, 2, 3, 4, 5]) list.add(fd);
    const again = (fd: number): void => {
      each(fd);
      list.add(fd); // it has always more
    };
    for (let turn = 0; turn < 5; turn++) list.serveFor(2, clock, again);
    expect(served).toEqual([1, 2, 3, 4, 5, 1, 2, 3, 4]);
  });

  it('and closed before that are not served', () => {
    const states = sockets();
    const list = new ReadyList(states);
    const { served, each, clock } = slowly();
    for (const fd of [1, 2, 3]) list.add(fd);
    states.leave(2);
    list.serveFor(10, clock, each);
    expect(served).toEqual([1, 3]);
    expect(list.isEmpty).toBe(true);
  });
});

describe('reads', () => {
  it('of sockets that send little come first, all of them in each turn, however many send much', () => {
    const reads = new ReadyReads(sockets(), SOCKETS);
    const { served, each, clock } = slowly();
    for (let fd = 0; fd < 10; fd++) {
      reads.brought(fd, 65_536);
      reads.add(fd);
    }
    for (let fd = 10; fd < 15; fd++) reads.add(fd);
    reads.serve(clock, each);
    expect(served).toEqual([10, 11, 12, 13, 14, 0, 1]);
    served.length = 0;
    reads.add(15);
    reads.serve(clock, each);
    expect(served).toEqual([15, 2, 3]);
  });

  it('of a socket that has sent little last are none that wait', () => {
    const reads = new ReadyReads(sockets(), SOCKETS);
    reads.brought(1, 65_536);
    expect(reads.waits(1)).toBe(true);
    reads.brought(1, 100);
    expect(reads.waits(1)).toBe(false);
  });
});
