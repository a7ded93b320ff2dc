import type { HandedInflightToDevice } from './handed.ts';
import { IdIndex } from './id-index.ts';
import { Slots } from './slots.ts';
import { type Owner, owner, type Step, step } from './stages.ts';

/** Words of an entry: node id << 16 | device id; bits of state; hash of the payload. */
const IDS = 0;
const STATE = 1;
const HASH = 2;
const QOS2 = 0x10;
const OWNER_SHIFT = 2;
/** With more entries than this they are found by an index, with fewer by looking. */
const LOOKED_THROUGH = 8;
const HIGHEST_ID = 0xffff;

/**
 * Unfinished entries that leave ids enough for `freeDeviceId` to find one quickly. More are only there where a node
 * gives ids that the device holds for no other.
 */
export const MOST_UNFINISHED = 0x8000;

/**
 * QoS 1 and 2 messages on their way to the device, oldest first. An entry has two packet ids: the node's, and the one
 * that the device sees; they differ only where a new node uses an id that the device still holds for an old one.
 *
 * It holds 65,535 entries at the most (`isFull`).
 *
 * What always holds: an id that `freeDeviceId` gives belongs to no unfinished entry; no node knows an orphan, so its
 * acknowledgements end here; an entry that is `done` is there only until its node knows; while `foreign` is 0 the two ids of every
 * entry are the same, and the link that is up has sent all of them.
 */
export class InflightToDevice extends Slots {
  /** Entries that the device has not finished: they count against its Receive Maximum. */
  unfinished = 0;
  /** Entries for which the node's view and the device's may differ; while 0, packets pass without a search. */
  foreign = 0;
  /** Entries that the next node may take up. */
  suspended = 0;
  private nodeIndex: IdIndex | undefined;
  private deviceIndex: IdIndex | undefined;
  private isIndexed = false;
  private lastFreeId = 0;

  /** There must be room (`isFull`). */
  add(nodeId: number, deviceId: number, qos2: boolean, hash: number, at: Step, by: Owner): void {
    const state = at | (by << OWNER_SHIFT) | (qos2 ? QOS2 : 0);
    const slot = this.place((nodeId << 16) | deviceId, state, hash);
    this.tally(nodeId !== deviceId, at, by, 1);
    if (!this.isIndexed) return;
    if (by !== owner.orphan) this.nodeIndex?.add(nodeId, slot);
    if (at !== step.done) this.deviceIndex?.add(deviceId, slot);
  }

  /** The oldest entry that the node knows by this id, or -1. */
  byNode(id: number): number {
    if (this.needsIndex) this.makeIndexes();
    if (this.isIndexed) return this.nodeIndex?.find(id) || -1;
    let at = this.first();
    while (at >= 0 && (this.nodeId(at) !== id || this.owner(at) === owner.orphan)) at = this.next(at);
    return at;
  }

  /** The oldest unfinished entry that the device knows by this id, or -1. */
  byDevice(id: number): number {
    let at = this.first();
    // Acknowledgements come mostly in order.
    if (at < 0 || this.isOfDevice(at, id)) return at;
    if (this.needsIndex) this.makeIndexes();
    if (this.isIndexed) return this.deviceIndex?.find(id) || -1;
    while (at >= 0 && !this.isOfDevice(at, id)) at = this.next(at);
    return at;
  }

  private isOfDevice(at: number, id: number): boolean {
    return this.deviceId(at) === id && this.step(at) !== step.done;
  }

  nodeId(at: number): number {
    return this.word(at, IDS) >>> 16;
  }

  deviceId(at: number): number {
    return this.word(at, IDS) & 0xffff;
  }

  step(at: number): Step {
    return (this.word(at, STATE) & 3) as Step;
  }

  owner(at: number): Owner {
    return ((this.word(at, STATE) >> OWNER_SHIFT) & 3) as Owner;
  }

  isQos2(at: number): boolean {
    return (this.word(at, STATE) & QOS2) !== 0;
  }

  hash(at: number): number {
    return this.word(at, HASH);
  }

  set(at: number, to: Step, by: Owner): void {
    const before = this.step(at);
    const ownerBefore = this.owner(at);
    const isRemapped = this.nodeId(at) !== this.deviceId(at);
    this.tally(isRemapped, before, ownerBefore, -1);
    this.tally(isRemapped, to, by, 1);
    this.setWord(at, STATE, to | (by << OWNER_SHIFT) | (this.word(at, STATE) & QOS2));
    if (!this.isIndexed) return;
    if (to === step.done && before !== step.done) this.deviceIndex?.remove(this.deviceId(at), at);
    if (by === owner.orphan && ownerBefore !== owner.orphan) this.nodeIndex?.remove(this.nodeId(at), at);
  }

  remove(at: number): void {
    if (this.count === 1) return this.clear();
    this.tally(this.nodeId(at) !== this.deviceId(at), this.step(at), this.owner(at), -1);
    if (this.isIndexed) {
      if (this.owner(at) !== owner.orphan) this.nodeIndex?.remove(this.nodeId(at), at);
      if (this.step(at) !== step.done) this.deviceIndex?.remove(this.deviceId(at), at);
    }
    this.drop(at);
  }

  get isEmpty(): boolean {
    return this.count === 0;
  }

  /** For another process. */
  describe(): HandedInflightToDevice {
    const entries: HandedInflightToDevice['entries'] = [];
    for (let at = this.first(); at >= 0; at = this.next(at)) {
      const [nodeId, deviceId, hash] = [this.nodeId(at), this.deviceId(at), this.hash(at)];
      const [isQos2, now, by] = [this.isQos2(at), this.step(at), this.owner(at)];
      entries.push({ nodeId, deviceId, isQos2, hash, step: now, owner: by });
    }
    return { entries, lastFreeId: this.lastFreeId };
  }

  /** Fills an empty table with what another process had. */
  revive({ entries, lastFreeId }: HandedInflightToDevice): this {
    for (const { nodeId, deviceId, isQos2, hash, step: now, owner: by } of entries)
      this.add(nodeId, deviceId, isQos2, hash, now, by);
    this.lastFreeId = lastFreeId;
    return this;
  }

  /** Makes it ready for the next session. */
  clear(): void {
    this.unfinished = 0;
    this.foreign = 0;
    this.suspended = 0;
    this.lastFreeId = 0;
    if (this.isIndexed) {
      this.nodeIndex?.clear();
      this.deviceIndex?.clear();
    }
    this.isIndexed = false;
    this.forgetAll();
  }

  /**
   * An id that the device holds for nothing, from the top: nodes mostly count from 1. It goes on where it found the last
   * one, so that with at most `MOST_UNFINISHED` entries it looks at two ids for each that it gives.
   */
  freeDeviceId(): number {
    do this.lastFreeId = this.lastFreeId <= 1 ? HIGHEST_ID : this.lastFreeId - 1;
    while (this.byDevice(this.lastFreeId) >= 0);
    return this.lastFreeId;
  }

  /** The link is lost: what it delivered waits for a node that takes it up again. */
  suspend(): void {
    for (let at = this.first(); at >= 0; at = this.next(at)) {
      if (this.owner(at) === owner.node) this.set(at, this.step(at), owner.suspended);
    }
  }

  private tally(isRemapped: boolean, at: Step, by: Owner, change: 1 | -1): void {
    if (at !== step.done) this.unfinished += change;
    if (by === owner.suspended) this.suspended += change;
    if (isRemapped || by !== owner.node) this.foreign += change;
  }

  private get needsIndex(): boolean {
    return !this.isIndexed && this.count > LOOKED_THROUGH;
  }

  private makeIndexes(): void {
    this.nodeIndex ??= new IdIndex();
    this.deviceIndex ??= new IdIndex();
    this.isIndexed = true;
    for (let at = this.first(); at >= 0; at = this.next(at)) {
      if (this.owner(at) !== owner.orphan) this.nodeIndex.add(this.nodeId(at), at);
      if (this.step(at) !== step.done) this.deviceIndex.add(this.deviceId(at), at);
    }
  }
}
