import { expect, test } from 'vitest';
import { HandOver } from '../../../src/data-plane/hand-over.ts';
import type { HandOverReport } from '../../../src/data-plane-api/hand-over-messages.ts';

/** Connections `a` to `c`, each its own wire; `broken` ones cannot be thawed. */
function scene(broken: readonly string[] = []) {
  const story: string[] = [];
  const reports: HandOverReport[] = [];
  const named = (name: string) => {
    const guard = (run: () => void) => {
      try {
        run();
      } catch (error) {
        story.push(`${name} ends: ${(error as Error).message}`);
      }
    };
    return { name, acceptedAtMs: 0, wire: { name, guard }, departed: () => story.push(`${name} departs`) };
  };
  type Named = ReturnType<typeof named>;
  const open = new Set(['a', 'b', 'c'].map(named));
  const host = {
    ...{ listener: { index: 0 }, open },
    describe: ({ wire }: Named) => ({ wire, peer: {}, state: {} }),
    revive: ({ name }: { readonly name: string }) => ({ connection: named(name), events: {} }),
  };
  const engine = {
    freeze: () => ({}),
    thaw({ name }: { readonly name: string }) {
      if (broken.includes(name)) throw new Error('it is not frozen');
      story.push(`${name} goes on`);
    },
    depart: () => {},
    adopt: (sockets: { readonly name: string }, begin: (wire: object) => object) => {
      const { wire } = named(sockets.name);
      begin(wire);
      return wire;
    },
  };
  const handOver = new HandOver({
    ...{
      engine,
      hosts: new Map([[0, host]]),
      report: (report: HandOverReport) => reports.push(report),
      now: () => 0,
    },
    goOn: (connections: readonly unknown[]) =>
      story.push(`told again: ${connections.map((each) => (each as Named).name)}`),
    joined: (members: readonly { readonly leaver: Named }[]) =>
      story.push(`joined: ${members.map(({ leaver }) => leaver.name)}`),
  } as never);
  const names = () => [...open].map(({ name }) => name).sort();
  return { handOver, story, reports, names };
}

test('those that go on here hear what was said to all meanwhile; a fault of one holds up no other', () => {
  const { handOver, story, reports, names } = scene(['b']);
  handOver.carryOut({ type: 'hand-over', request: 1, most: 9 });
  expect([names(), reports]).toMatchObject([[], [{ type: 'handing', request: 1, busy: 0 }]]);
  handOver.carryOut({ type: 'given', kept: [0, 1] });
  expect(story.splice(0)).toEqual(['a departs', 'c goes on', 'b ends: it is not frozen', 'told again: c,b']);
  handOver.carryOut({ type: 'given', kept: 'all' }); // of nothing
  expect(story).toEqual(['told again: ']);
});

test('what was adopted is open when it begins, and busy before that', () => {
  const { handOver, story, reports, names } = scene();
  const devices = ['x', 'y'].map((name) => ({ listener: 0, sockets: { name }, peer: {}, state: {} }));
  handOver.carryOut({ type: 'adopt', request: 1, devices: devices as never });
  expect(names()).toEqual(['a', 'b', 'c']);
  handOver.carryOut({ type: 'hand-over', request: 2, most: 9 });
  expect(reports.map((report) => ('busy' in report ? report.busy : report.type))).toEqual(['adopted', 2]);
  handOver.carryOut({ type: 'begin' });
  expect(story).toEqual(['x goes on', 'y goes on', 'told again: x,y', 'joined: x,y']);
  expect(names()).toEqual(['x', 'y']);
});
