import { messageOf } from '../base/errors.ts';
import { Connection } from '../connection/connection.ts';
import type { Wire } from '../connection/wire.ts';
import type { HandedDevice, HandOverCommand, HandOverReport } from '../data-plane-api/hand-over-messages.ts';
import type { Engine } from '../engine/engine.ts';
import { acceptedOf } from './accepted-clients.ts';
import { engineWireOf } from './handed-clients.ts';
import type { ListenerHost } from './listener-host.ts';
import { Probation } from './probation.ts';

/** A worker hands its connections over, and takes those of another. */

type Carried = ListenerHost['open'] extends Iterable<infer Connection> ? Connection : never;

/** A connection that stands still. */
interface Frozen {
  readonly host: ListenerHost;
  readonly connection: Carried;
  readonly wire: Wire;
}

interface HandOverParts {
  readonly engine: Engine;
  /** By the indexes of the listeners. */
  readonly hosts: ReadonlyMap<number, ListenerHost>;
  readonly report: (report: HandOverReport) => void;
  readonly now: () => number;
  /** They have stood still, and have not heard what was said to all meanwhile. */
  readonly goOn: (connections: readonly Carried[]) => void;
  /** Those of them that were another worker's. */
  readonly joined: (members: readonly { readonly leaver: Carried; readonly crew: ListenerHost }[]) => void;
}

/** So many devices are reported together by a thread that ends. */
const LEFT_BATCH = 64;

/**
 * Connections that stand still are not among those that their listener has open, so that nobody moves, ends or asks one:
 *
 *   open ──hand-over──► frozen ──given──► departed, or (kept) open
 *   adopted ──begin──► open
 *
 * All connections are gone through in passes, so that those that cannot go cost no more for each that can.
 */
export class HandOver {
  private readonly parts: HandOverParts;
  private frozen: readonly Frozen[] = [];
  /** What is left of this pass. */
  private pass: { readonly host: ListenerHost; readonly connection: Carried }[] = [];
  private busy = 0;
  /** Those that the other process has refused are not offered again. */
  private readonly kept = new WeakSet<Carried>();
  private adopted: Frozen[] = [];
  private readonly broken = new WeakSet<Carried>();
  private readonly probation: Probation<Wire>;

  constructor(parts: HandOverParts) {
    this.parts = parts;
    this.probation = new Probation(parts.now);
  }

  carryOut(command: HandOverCommand): void {
    const { engine, hosts, report } = this.parts;
    switch (command.type) {
      case 'listening': {
        const of = (index: number) => ({ index, descriptors: engine.listening(index) });
        const { request } = command;
        return report({ type: 'descriptors', request, listeners: Array.from(hosts.keys(), of) });
      }
      case 'hold':
        for (const index of hosts.keys()) command.on ? engine.hold(index) : engine.open(index);
        return;
      case 'leave':
        for (const index of hosts.keys()) engine.leave(index);
        return;
      case 'hand-over':
        return this.handOver(command.request, command.most);
      case 'given':
        return this.given(command.kept);
      case 'adopt':
        return this.adopt(command);
      case 'begin': {
        const { adopted } = this;
        this.adopted = [];
        this.goOn(adopted);
        return this.parts.joined(adopted.map(({ host, connection }) => ({ leaver: connection, crew: host })));
      }
    }
  }

  /** A fault ends the one whose it is; the others do not stand still for ever. */
  private goOn(frozen: readonly Frozen[]): void {
    const { engine, goOn } = this.parts;
    for (const { host, connection, wire } of frozen) {
      host.open.add(connection);
      wire.guard(() => engine.thaw(wire));
    }
    goOn(frozen.map(({ connection }) => connection));
  }

  private handOver(request: number, most: number): void {
    if (this.pass.length === 0) this.beginPass();
    const frozen: Frozen[] = [];
    const devices: HandedDevice[] = [];
    for (let next = this.pass.pop(); next !== undefined; next = this.pass.pop()) {
      const { host, connection } = next;
      if (!host.open.has(connection)) continue;
      const stopped = this.stop(host, connection);
      if (stopped === undefined) {
        this.busy++;
        continue;
      }
      host.open.delete(connection);
      frozen.push({ host, connection, wire: stopped.wire });
      devices.push(stopped.device);
      if (frozen.length >= most) break;
    }
    this.frozen = frozen;
    const busy = this.busy + this.adopted.length; // those have not begun
    this.parts.report({ type: 'handing', request, devices, busy });
  }

  /** From here on it stands still. Undefined: not now; nothing has changed then. */
  private stop(
    host: ListenerHost,
    connection: Carried,
  ): { readonly wire: Wire; readonly device: HandedDevice } | undefined {
    const client = host.describe(connection);
    if (client === undefined) return undefined;
    const { wire, peer, state } = client;
    const sockets = this.parts.engine.freeze(wire);
    if (sockets === undefined) return undefined;
    const accepted = acceptedOf(connection);
    return { wire, device: { listener: host.listener.index, sockets, peer, state, accepted } };
  }

  private beginPass(): void {
    this.busy = 0;
    for (const host of this.parts.hosts.values())
      for (const connection of host.open)
        if (!this.kept.has(connection)) this.pass.push({ host, connection });
  }

  private given(kept: readonly number[] | 'all'): void {
    const { engine } = this.parts;
    const { frozen } = this;
    this.frozen = [];
    const places = new Set(kept === 'all' ? frozen.keys() : kept);
    for (const [at, { connection, wire }] of frozen.entries()) {
      if (places.has(at)) {
        if (kept !== 'all') this.kept.add(connection);
        continue;
      }
      wire.guard(() => {
        connection.departed();
        engine.depart(wire);
      });
    }
    this.goOn(frozen.filter((_, at) => places.has(at)));
  }

  private adopt({ request, devices, ofDead }: Extract<HandOverCommand, { type: 'adopt' }>): void {
    const { engine, hosts, report } = this.parts;
    const refused: { at: number; why: string }[] = [];
    for (const [at, { listener, sockets, peer, state }] of devices.entries()) {
      const host = hosts.get(listener);
      try {
        if (host === undefined) throw new Error('there is no such listener');
        let connection: Carried | undefined;
        const wire = engine.adopt(sockets, (made) => {
          const revived = host.revive(made, peer, state);
          connection = revived.connection;
          return revived.events;
        });
        this.adopted.push({ host, connection: connection as Carried, wire });
        if (ofDead) this.probation.add(wire);
      } catch (error) {
        refused.push({ at, why: messageOf(error) });
      }
    }
    report({ type: 'adopted', request, refused });
  }

  /** The thread ends, by a fault of the `culprit` if it is known: what another thread can begin anew is given up. Then call `leaveAll`. */
  stepBack(culprit: Wire | undefined): void {
    for (const { open } of this.parts.hosts.values()) {
      for (const connection of open) {
        if (!(connection instanceof Connection) || !this.goesOn(connection, culprit)) continue;
        const isWhole = attempt(() => connection.stepBack() ?? true);
        if (!isWhole) this.broken.add(connection);
      }
    }
  }

  /** What has killed a thread, or may have, is not to kill the next one. */
  private goesOn(connection: Carried, culprit: Wire | undefined): boolean {
    const wire = engineWireOf(connection);
    return wire !== culprit && !this.probation.has(wire) && !this.broken.has(connection);
  }

  /**
   * The thread ends: reports whatever another thread can go on with. What cannot be described, what is on
   * probation, and the culprit are left out. Nothing runs in this thread behind that.
   * @throws BreakwaterError UPGRADE_UNAVAILABLE where the engine cannot hand over; then nothing is reported
   */
  leaveAll(culprit: Wire | undefined): void {
    const { engine, hosts, report } = this.parts;
    const listeners = Array.from(hosts.keys(), (index) => ({ index, descriptors: engine.listening(index) }));
    let devices: HandedDevice[] = [];
    for (const host of hosts.values()) {
      for (const connection of host.open) {
        if (!this.goesOn(connection, culprit)) continue;
        const device = attempt(() => this.stop(host, connection)?.device);
        if (device !== undefined) devices.push(device);
        if (devices.length < LEFT_BATCH) continue;
        report({ type: 'left', devices, listeners: [] });
        devices = [];
      }
    }
    report({ type: 'left', devices, listeners });
  }
}

/** A connection whose state is broken is nobody's to go on with; those of others are. */
function attempt<T>(run: () => T): T | undefined {
  try {
    return run();
  } catch {
    return undefined;
  }
}
