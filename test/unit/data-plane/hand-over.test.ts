import { expect, test } from 'vitest';
import { HandOver } from '../../../src/data-plane/hand-over.ts';
import { packDevice, unpackDevice, wipe } from '../../../src/data-plane/handed-device.ts';
import type { HandOverReport } from '../../../src/data-plane-api/hand-over-messages.ts';
import { described } from '../../support/handed-device.ts';

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
    describe: ({ wire }: Named) => ({ ...described(0), wire }),
    revive: ({ name }: { readonly name: string }) => ({ connection: named(name), events: {} }),
  };
  const engine = {
    freeze: () => described(0).sockets,
    thaw({ name }: { readonly name: string }) {
      if (broken.includes(name)) throw new Error('it is not frozen');
      story.push(`${name} goes on`);
    },
    depart: () => {},
    adopt: (sockets: { readonly number: number }, begin: (wire: object) => object) => {
      const { wire } = named(`x${sockets.number}`);
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
  const devices = [1, 2].map((number) => packDevice(described(number), 0, undefined));
  handOver.carryOut({ type: 'adopt', request: 1, devices });
  expect(names()).toEqual(['a', 'b', 'c']);
  handOver.carryOut({ type: 'hand-over', request: 2, most: 9 });
  expect(reports.map((report) => ('busy' in report ? report.busy : report.type))).toEqual(['adopted', 2]);
  handOver.carryOut({ type: 'begin' });
  expect(story).toEqual(['x1 goes on', 'x2 goes on', 'told again: x1,x2', 'joined: x1,x2']);
  expect(names()).toEqual(['x1', 'x2']);
});

test('a device goes on by the descriptors that it has where it arrives; what was wiped is refused alone', () => {
  const { handOver, reports } = scene();
  const packed = () => packDevice(described(1), 0, undefined);
  expect(packed().descriptors).toEqual([3, 4]);
  const arrived = structuredClone({ ...packed(), descriptors: [13, 14] });
  const { sockets, ...rest } = unpackDevice(arrived);
  expect(rest).toEqual({ peer: described(1).peer, state: described(1).state });
  expect([sockets.device.fd, sockets.links[0]?.fd, String(sockets.device.waiting)]).toEqual([
    13,
    14,
    '97,98,99',
  ]);
  const [wiped, short] = [packed(), { ...packed(), descriptors: [13] }];
  wipe(wiped);
  handOver.carryOut({ type: 'adopt', request: 1, devices: [wiped, packed(), short] });
  expect(reports).toMatchObject([{ type: 'adopted', refused: [{ at: 0 }, { at: 2 }] }]);
  expect(JSON.stringify(reports)).not.toContain('secret');
});
