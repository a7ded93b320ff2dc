/** How far one delivery to the device has come, as the device sees it. */
export const step = {
  /** PUBLISH given, not acknowledged. */
  published: 0,
  /** QoS 2: the device has sent PUBREC. */
  received: 1,
  /** QoS 2: PUBREL given. */
  released: 2,
  /** The device has finished; only the node that must redeliver does not know yet. */
  done: 3,
} as const;

/** Whose the delivery is. */
export const owner = {
  /** The link that is up. */
  node: 0,
  /** The session of a lost link: the next node may take it up again [MQTT-4.4.0-1]. */
  suspended: 1,
  /** Nobody at a node knows it any more. */
  orphan: 2,
} as const;

export type Step = (typeof step)[keyof typeof step];
export type Owner = (typeof owner)[keyof typeof owner];

/** Three words an entry: node id << 16 | device id (0: free); bits of state; hash of the payload. */
const WORDS = 3;
const FIRST_CAPACITY = 8 * WORDS;
const NOTHING: Uint32Array = new Uint32Array(0);
const QOS2 = 0x10;

/**
 * QoS 1 and 2 messages on their way to the device, oldest first. An entry has two packet ids: the node's, and the one
 * that the device sees; they differ only where a new node uses an id that the device still holds for an old one.
 *
 * At most 65,535 entries, because each has its own device id. An entry is named by an index, which holds until `add`.
 */
export class Deliveries {
  private words = NOTHING;
  private head = 0;
  private tail = 0;
  /** Entries that the device has not finished: they count against its Receive Maximum. */
  unfinished = 0;
  /** Entries for which the node's view and the device's may differ; while 0, packets pass without a search. */
  foreign = 0;

  add(nodeId: number, deviceId: number, qos2: boolean, hash: number, at: Step, by: Owner): void {
    if (this.tail === this.words.length) this.makeRoom();
    const { words, tail } = this;
    words[tail] = (nodeId << 16) | deviceId;
    words[tail + 1] = at | (by << 2) | (qos2 ? QOS2 : 0);
    words[tail + 2] = hash;
    this.tail = tail + WORDS;
    this.count(tail, 1);
  }

  /** The entry that the node knows by this id, or -1. */
  byNode(id: number): number {
    for (let at = this.first(); at >= 0; at = this.next(at)) {
      if (this.nodeId(at) === id && this.owner(at) !== owner.orphan) return at;
    }
    return -1;
  }

  /** The unfinished entry that the device knows by this id, or -1. */
  byDevice(id: number): number {
    for (let at = this.first(); at >= 0; at = this.next(at)) {
      if (this.deviceId(at) === id && this.step(at) !== step.done) return at;
    }
    return -1;
  }

  first(): number {
    return this.liveFrom(this.head);
  }

  next(at: number): number {
    return this.liveFrom(at + WORDS);
  }

  nodeId(at: number): number {
    return (this.words[at] as number) >>> 16;
  }

  deviceId(at: number): number {
    return (this.words[at] as number) & 0xffff;
  }

  step(at: number): Step {
    return ((this.words[at + 1] as number) & 3) as Step;
  }

  owner(at: number): Owner {
    return (((this.words[at + 1] as number) >> 2) & 3) as Owner;
  }

  isQos2(at: number): boolean {
    return ((this.words[at + 1] as number) & QOS2) !== 0;
  }

  hash(at: number): number {
    return this.words[at + 2] as number;
  }

  set(at: number, to: Step, by: Owner): void {
    this.count(at, -1);
    this.words[at + 1] = to | (by << 2) | (this.isQos2(at) ? QOS2 : 0);
    this.count(at, 1);
  }

  remove(at: number): void {
    this.count(at, -1);
    this.words[at] = 0;
    const first = this.first();
    if (first >= 0) {
      this.head = first;
      return;
    }
    this.head = 0;
    this.tail = 0;
  }

  get isEmpty(): boolean {
    return this.first() < 0;
  }

  /** For the next session. */
  clear(): void {
    this.head = 0;
    this.tail = 0;
    this.unfinished = 0;
    this.foreign = 0;
    if (this.words.length > FIRST_CAPACITY) this.words = NOTHING;
  }

  /** An id that the device holds for nothing, from the top: nodes mostly count from 1. 0 when all are taken. */
  freeDeviceId(): number {
    let id = 0xffff;
    while (id > 0 && this.byDevice(id) >= 0) id--;
    return id;
  }

  /** The link is lost: what it delivered waits for a node that takes it up again. */
  suspend(): void {
    for (let at = this.first(); at >= 0; at = this.next(at)) {
      if (this.owner(at) === owner.node) this.set(at, this.step(at), owner.suspended);
    }
  }

  private liveFrom(from: number): number {
    let at = from;
    while (at < this.tail && this.words[at] === 0) at += WORDS;
    return at < this.tail ? at : -1;
  }

  private count(at: number, by: 1 | -1): void {
    if (this.step(at) !== step.done) this.unfinished += by;
    if (this.owner(at) !== owner.node || this.nodeId(at) !== this.deviceId(at)) this.foreign += by;
  }

  private makeRoom(): void {
    let live = 0;
    for (let at = this.first(); at >= 0; at = this.next(at)) live += WORDS;
    let capacity = FIRST_CAPACITY;
    while (capacity < live * 2) capacity *= 2;
    const to = this.words.length >= capacity ? this.words : new Uint32Array(capacity);
    let tail = 0;
    for (let at = this.first(); at >= 0; at = this.next(at)) {
      for (let i = 0; i < WORDS; i++) to[tail + i] = this.words[at + i] as number;
      tail += WORDS;
    }
    this.words = to;
    this.head = 0;
    this.tail = tail;
  }
}
