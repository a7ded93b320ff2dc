import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { IdIndex } from '../../../src/session/id-index.ts';
import {
  ENTRY_BYTES,
  type Exchange,
  exchange,
  InflightFromDevice,
} from '../../../src/session/inflight-from-device.ts';
import { InflightToDevice, MOST_UNFINISHED } from '../../../src/session/inflight-to-device.ts';
import { type Owner, owner, type Stage, type Step, stage, step } from '../../../src/session/stages.ts';
import { bytesOf } from './packet-text.ts';

const MOST = 65_535;

/** A number below `below` that depends on nothing but `i`. */
const scattered = (i: number, below: number) => (Math.imul(i + 1, 0x9e37_79b1) >>> 8) % below;

describe('an index of packet ids', () => {
  it('finds the oldest of each key, also where keys meet in one bucket', () => {
    const keys = [0, 1, 2, 64, 65, 128, 129, 4096, 0x1_0001, 0x2_0001];
    const command = fc.record({ add: fc.boolean(), key: fc.constantFrom(...keys), nth: fc.nat(5) });
    fc.assert(
      fc.property(fc.array(command, { maxLength: 300 }), (commands) => {
        const index = new IdIndex();
        const model: { key: number; slot: number }[] = [];
        let slot = 0;
        for (const { add, key, nth } of commands) {
          const same = model.filter((entry) => entry.key === key);
          if (add) {
            index.add(key, ++slot);
            model.push({ key, slot });
          } else if (same.length > 0) {
            const entry = same[nth % same.length] as { key: number; slot: number };
            index.remove(key, entry.slot);
            model.splice(model.indexOf(entry), 1);
          }
          for (const each of keys)
            expect(index.find(each)).toBe(model.find((e) => e.key === each)?.slot ?? 0);
        }
      }),
      { numRuns: 50 },
    );
  });

  it('grows with what it holds, and forgets it', () => {
    const index = new IdIndex();
    for (let slot = 1; slot <= MOST; slot++) index.add(slot ^ 0x5555, slot);
    for (let slot = 1; slot <= MOST; slot += 97) expect(index.find(slot ^ 0x5555)).toBe(slot);
    index.clear();
    for (let slot = 1; slot <= MOST; slot += 97) expect(index.find(slot ^ 0x5555)).toBe(0);
    index.add(7, 3);
    expect(index.find(7)).toBe(3);
  });
});

describe('window', () => {
  interface Entry {
    id: number;
    kind: Exchange;
    at: Stage;
    packet: Uint8Array;
  }

  function packetOf(kind: Exchange, size: number): Uint8Array {
    const header = [0x32, 0x82, 0xa2][kind] as number;
    return Uint8Array.from({ length: size + 1 }, (_, i) => (i === 0 ? header : size));
  }

  function check(inflightFromDevice: InflightFromDevice, model: readonly Entry[]): void {
    const found = [];
    for (let at = inflightFromDevice.first(); at >= 0; at = inflightFromDevice.next(at)) {
      found.push({
        id: inflightFromDevice.id(at),
        at: inflightFromDevice.stage(at),
        packet: [...inflightFromDevice.packet(at)],
      });
    }
    expect(found).toEqual(model.map(({ id, at, packet }) => ({ id, at, packet: [...packet] })));
    expect(inflightFromDevice.count).toBe(model.length);
    expect(inflightFromDevice.bytes).toBe(
      model.reduce((sum, { packet }) => sum + ENTRY_BYTES + packet.length, 0),
    );
    const counted = (...stages: Stage[]) => model.filter(({ at }) => stages.includes(at)).length;
    expect(inflightFromDevice.exchanged).toBe(counted(stage.received, stage.released));
    expect(inflightFromDevice.inflight).toBe(counted(stage.sent, stage.received, stage.released));
    expect(inflightFromDevice.waiting).toBe(counted(stage.waiting));
    const waits = model.find(({ at }) => at === stage.waiting);
    const waiting = inflightFromDevice.firstWaiting();
    expect(waiting < 0 ? undefined : inflightFromDevice.id(waiting)).toBe(waits?.id);
  }

  it('is an ordered list, by packet id and kind, whatever is added, changed and removed', () => {
    const command = fc.record({
      what: fc.constantFrom('add', 'add', 'remove', 'stage', 'send'),
      id: fc.integer({ min: 1, max: 20 }),
      kind: fc.constantFrom(...Object.values(exchange)),
      at: fc.constantFrom(stage.sent, stage.waiting, stage.received, stage.released, stage.local),
      size: fc.nat(200),
    });
    fc.assert(
      fc.property(fc.array(command, { maxLength: 120 }), (commands) => {
        const inflightFromDevice = new InflightFromDevice();
        const model: Entry[] = [];
        for (const { what, id, kind, at, size } of commands) {
          const found = inflightFromDevice.find(id, kind);
          const entry = model.find((each) => each.id === id && each.kind === kind);
          expect(found >= 0).toBe(entry !== undefined);
          if (what === 'add') {
            const first = kind === exchange.publish ? (at === stage.waiting ? at : stage.sent) : stage.asked;
            const packet = packetOf(kind, size);
            inflightFromDevice.append(id, first, packet, 0, packet.length);
            model.push({ id, kind, at: first, packet });
          } else if (what === 'send' && inflightFromDevice.waiting > 0) {
            inflightFromDevice.sentWaiting(inflightFromDevice.firstWaiting());
            (model.find((each) => each.at === stage.waiting) as Entry).at = stage.sent;
          } else if (entry === undefined) {
            continue;
          } else if (what === 'remove') {
            inflightFromDevice.remove(found);
            model.splice(model.indexOf(entry), 1);
          } else if (what === 'stage' && kind === exchange.publish) {
            // Without its packet an exchange never waits again.
            entry.at = entry.packet.length === 0 && at < stage.received ? stage.received : at;
            inflightFromDevice.setStage(found, entry.at);
            if (entry.at >= stage.received) entry.packet = new Uint8Array(0);
          }
          check(inflightFromDevice, model);
        }
      }),
    );
  });

  it('needs no room for a message once the device has its PUBREC', () => {
    const inflightFromDevice = new InflightFromDevice();
    inflightFromDevice.append(1, stage.sent, new Uint8Array(1000), 0, 1000);
    inflightFromDevice.setStage(inflightFromDevice.find(1), stage.received);
    expect(inflightFromDevice.bytes).toBe(ENTRY_BYTES);
  });

  it('holds one exchange for each packet id, and is full then', () => {
    const inflightFromDevice = new InflightFromDevice();
    for (let id = 1; id < MOST; id++) inflightFromDevice.append(id, stage.released, new Uint8Array(0), 0, 0);
    expect(inflightFromDevice.isFull).toBe(false);
    inflightFromDevice.append(MOST, stage.released, new Uint8Array(0), 0, 0);
    expect(inflightFromDevice.isFull).toBe(true);
    for (let id = 1; id <= MOST; id += 101)
      expect(inflightFromDevice.id(inflightFromDevice.find(id))).toBe(id);
    for (let id = MOST; id >= 1; id--) inflightFromDevice.remove(inflightFromDevice.find(id));
    expect(inflightFromDevice.count).toBe(0);
  });

  it('counts suspects until they are answered', () => {
    const inflightFromDevice = new InflightFromDevice();
    const packet = bytesOf('PUBLISH #1 q2 a=1', 4);
    const [a, b, c] = [1, 2, 3].map((id) =>
      inflightFromDevice.append(id, stage.sent, packet, 0, packet.length),
    ) as [number, number, number];
    for (const at of [a, b, c]) inflightFromDevice.suspect(at);
    inflightFromDevice.setStage(a, stage.waiting);
    inflightFromDevice.markDuplicate(a);
    expect([
      inflightFromDevice.suspects,
      inflightFromDevice.isSuspect(a),
      inflightFromDevice.find(1),
    ]).toEqual([3, true, a]);
    inflightFromDevice.setStage(a, stage.received);
    inflightFromDevice.remove(b);
    expect([
      inflightFromDevice.suspects,
      inflightFromDevice.isSuspect(a),
      inflightFromDevice.isSuspect(c),
    ]).toEqual([1, false, true]);
    inflightFromDevice.remove(a);
    inflightFromDevice.remove(c);
    expect(inflightFromDevice.suspects).toBe(0);
  });

  it('keeps nothing of a packet once it is wiped', () => {
    const inflightFromDevice = new InflightFromDevice();
    const packet = bytesOf('PUBLISH #1 q1 a=secret', 4);
    const at = inflightFromDevice.append(1, stage.sent, packet, 0, packet.length);
    inflightFromDevice.wipe();
    expect(inflightFromDevice.packet(at).every((byte) => byte === 0)).toBe(true);
    expect(inflightFromDevice.find(1)).toBe(-1);
  });
});

describe('deliveries', () => {
  interface Entry {
    node: number;
    device: number;
    at: Step;
    by: Owner;
  }

  it('are found by either packet id, in order, and counted', () => {
    const command = fc.record({
      what: fc.constantFrom('add', 'add', 'remove', 'set', 'suspend'),
      nth: fc.nat(40),
      node: fc.integer({ min: 1, max: 25 }),
      device: fc.integer({ min: 1, max: 25 }),
      at: fc.constantFrom(...Object.values(step)),
      by: fc.constantFrom(...Object.values(owner)),
    });
    fc.assert(
      fc.property(fc.array(command, { maxLength: 120 }), (commands) => {
        const inflightToDevice = new InflightToDevice();
        const model: Entry[] = [];
        const slots: number[] = [];
        for (const { what, nth, node, device, at, by } of commands) {
          const index = nth % Math.max(1, model.length);
          const entry = model[index];
          if (what === 'add') {
            inflightToDevice.add(node, device, false, 0, at, by);
            model.push({ node, device, at, by });
          } else if (what === 'suspend') {
            inflightToDevice.suspend();
            for (const each of model) if (each.by === owner.node) each.by = owner.suspended;
          } else if (entry !== undefined && what === 'remove') {
            inflightToDevice.remove(slots[index] as number);
            model.splice(index, 1);
          } else if (entry !== undefined) {
            // Neither comes back: what the device has finished, and what no node knows.
            if (entry.at !== step.done) entry.at = at;
            if (entry.by !== owner.orphan) entry.by = by;
            inflightToDevice.set(slots[index] as number, entry.at, entry.by);
          }
          slots.length = 0;
          for (let slot = inflightToDevice.first(); slot >= 0; slot = inflightToDevice.next(slot))
            slots.push(slot);
          check(inflightToDevice, model, slots);
        }
      }),
    );
  });

  function check(
    inflightToDevice: InflightToDevice,
    model: readonly Entry[],
    slots: readonly number[],
  ): void {
    const found = slots.map((slot) => ({
      node: inflightToDevice.nodeId(slot),
      device: inflightToDevice.deviceId(slot),
      at: inflightToDevice.step(slot),
      by: inflightToDevice.owner(slot),
    }));
    expect(found).toEqual(model);
    for (let id = 1; id <= 25; id++) {
      const ofNode = model.findIndex(({ node, by }) => node === id && by !== owner.orphan);
      const ofDevice = model.findIndex(({ device, at }) => device === id && at !== step.done);
      expect(inflightToDevice.byNode(id)).toBe(slots[ofNode] ?? -1);
      expect(inflightToDevice.byDevice(id)).toBe(slots[ofDevice] ?? -1);
    }
    expect(inflightToDevice.unfinished).toBe(model.filter(({ at }) => at !== step.done).length);
    expect(inflightToDevice.suspended).toBe(model.filter(({ by }) => by === owner.suspended).length);
    const isForeign = ({ node, device, by }: Entry) => node !== device || by !== owner.node;
    expect(inflightToDevice.foreign).toBe(model.filter(isForeign).length);
  }

  it('give ids that the device holds for nothing, from the top, also after the first round of them', () => {
    const inflightToDevice = new InflightToDevice();
    for (let id = 1; id < MOST_UNFINISHED; id++) {
      inflightToDevice.add(id, id, false, 0, step.published, owner.suspended);
    }
    expect(inflightToDevice.freeDeviceId()).toBe(MOST);
    let taken = 0;
    for (let i = 0; i < 100_000; i++) {
      const id = inflightToDevice.freeDeviceId();
      if (inflightToDevice.byDevice(id) >= 0) taken++;
      const finished = inflightToDevice.byDevice(1 + scattered(i, MOST_UNFINISHED - 1));
      inflightToDevice.remove(finished >= 0 ? finished : inflightToDevice.first());
      inflightToDevice.add(1, id, false, 0, step.published, owner.node);
    }
    expect(taken).toBe(0);
  });
});
