/** What happened to single devices, also for some time after they have left: bounded in devices and in bytes. */

/** One thing that happened to a device; all but `at` and `what` as far as it applies. */
export interface DeviceEntry {
  /** RFC 3339. */
  readonly at: string;
  readonly what: 'connected' | 'moved' | 'not-moved' | 'refused' | 'ended';
  /** Number of the connection. */
  readonly connection?: number | undefined;
  readonly node?: string | undefined;
  /** Of a move: the node that was left. */
  readonly from?: string | undefined;
  readonly listener?: string | undefined;
  readonly remoteAddress?: string | undefined;
  readonly protocolVersion?: number | undefined;
  readonly cause?: string | undefined;
  readonly evidence?: string | undefined;
  /** Of a refusal or an end. */
  readonly reason?: string | undefined;
  /** Seconds: of the move, or of the connection that has ended. */
  readonly duration?: number | undefined;
  readonly sessionPresent?: boolean | undefined;
  readonly bytesFromDevice?: number | undefined;
  readonly bytesToDevice?: number | undefined;
}

/** A device with what happened to it, oldest first. */
type HandedHistory = [clientId: string, entries: DeviceEntry[]][];

interface HistoryBounds {
  /** Devices that are remembered; 0: none are. */
  readonly devices: number;
  /** Memory for all of them, as it is estimated. */
  readonly bytes: number;
}

/** The last ones of one device. */
const ENTRIES_MAX = 20;
/** An object in a map, a list, and their share of the map. */
const DEVICE_BYTES = 200;
/** An object of a dozen fields, in the list that grows; names of nodes and listeners are shared. */
const ENTRY_BYTES = 160;
/** Devices that were only refused have this part of the room: whoever is let in has the rest. */
const STRANGERS_PART = 1 / 8;

/** What goes over to another process, by the same estimate: both main threads are busy with it for a moment. */
const HANDED_BYTES = 8 * 1024 * 1024;

/** Names of nodes, listeners and reasons, which come anew with every message from a thread. */
const NAMES_MAX = 8192;

interface Remembered {
  readonly clientId: string;
  readonly entries: DeviceEntry[];
  bytes: number;
  older: Remembered | undefined;
  newer: Remembered | undefined;
}

/**
 * The devices of one sort, in a list from the longest untouched to the newest. The order of a `Map` does not do: finding its
 * first key takes the longer the more keys were deleted before it.
 */
class Table {
  private readonly devices = new Map<string, Remembered>();
  private oldest: Remembered | undefined;
  private newest: Remembered | undefined;
  private bytes = 0;

  get(clientId: string): Remembered | undefined {
    return this.devices.get(clientId);
  }

  add(clientId: string, known: Remembered | undefined, entry: DeviceEntry, bounds: HistoryBounds): void {
    const bytes = DEVICE_BYTES + 2 * clientId.length;
    const device = known ?? { clientId, entries: [], bytes, older: undefined, newer: undefined };
    this.remove(clientId);
    if (device.entries.length >= ENTRIES_MAX) device.bytes -= bytesOf(device.entries.shift());
    device.entries.push(entry);
    device.bytes += bytesOf(entry);
    this.devices.set(clientId, device);
    this.bytes += device.bytes;
    device.older = this.newest;
    if (this.newest === undefined) this.oldest = device;
    else this.newest.newer = device;
    this.newest = device;
    this.shrink(bounds);
  }

  /** From the newest on. */
  *[Symbol.iterator](): Generator<Remembered> {
    for (let device = this.newest; device !== undefined; device = device.older) yield device;
  }

  clear(): void {
    for (const { clientId } of this) this.remove(clientId);
  }

  remove(clientId: string): Remembered | undefined {
    const device = this.devices.get(clientId);
    if (device === undefined) return undefined;
    this.devices.delete(clientId);
    this.bytes -= device.bytes;
    const { older, newer } = device;
    if (older === undefined) this.oldest = newer;
    else older.newer = newer;
    if (newer === undefined) this.newest = older;
    else newer.older = older;
    device.older = undefined;
    device.newer = undefined;
    return device;
  }

  private shrink({ devices, bytes }: HistoryBounds): void {
    while (this.oldest !== undefined && (this.devices.size > devices || this.bytes > bytes))
      this.remove(this.oldest.clientId);
  }
}

export class DeviceHistory {
  private readonly served = new Table();
  private readonly strangers = new Table();
  private readonly names = new Map<string, string>();
  private readonly bounds: () => HistoryBounds;

  /** @param bounds as they are configured now */
  constructor(bounds: () => HistoryBounds) {
    this.bounds = bounds;
  }

  /** @param clientId not empty, and at most some hundred characters */
  add(clientId: string, entry: DeviceEntry): void {
    const { devices, bytes } = this.bounds();
    if (devices === 0) return;
    const shared = this.withSharedNames(entry);
    const known = this.served.get(clientId);
    if (entry.what === 'refused' && known === undefined) {
      const part = { devices: Math.ceil(devices * STRANGERS_PART), bytes: bytes * STRANGERS_PART };
      return this.strangers.add(clientId, this.strangers.get(clientId), shared, part);
    }
    this.served.add(clientId, known ?? this.strangers.remove(clientId), shared, { devices, bytes });
  }

  /** Oldest first; empty where nothing is known. */
  of(clientId: string): readonly DeviceEntry[] {
    const device = this.served.get(clientId) ?? this.strangers.get(clientId);
    return [...(device?.entries ?? [])];
  }

  /** Devices that something happened to of late, as many as the room of a hand-over holds: the longest untouched first. */
  describe(maxBytes = HANDED_BYTES): HandedHistory {
    const found: HandedHistory = [];
    let room = maxBytes;
    for (const { clientId, entries, bytes } of [...this.served, ...this.strangers]) {
      room -= bytes;
      if (room < 0) break;
      found.push([clientId, [...entries]]);
    }
    return found.reverse();
  }

  /** What an older process has kept comes before what happened here. */
  restore(handed: HandedHistory): void {
    const here = this.describe(Number.POSITIVE_INFINITY);
    for (const table of [this.served, this.strangers]) table.clear();
    for (const [clientId, entries] of [...handed, ...here])
      for (const entry of entries) this.add(clientId, entry);
  }

  private withSharedNames(entry: DeviceEntry): DeviceEntry {
    const { node, from, listener, reason, cause } = entry;
    return {
      ...entry,
      node: this.shared(node),
      from: this.shared(from),
      listener: this.shared(listener),
      reason: this.shared(reason),
      cause: this.shared(cause),
    };
  }

  private shared(name: string | undefined): string | undefined {
    if (name === undefined) return undefined;
    const known = this.names.get(name);
    if (known !== undefined) return known;
    if (this.names.size < NAMES_MAX) this.names.set(name, name);
    return name;
  }
}

function bytesOf(entry: DeviceEntry | undefined): number {
  return entry === undefined ? 0 : ENTRY_BYTES + 2 * (entry.at.length + (entry.remoteAddress?.length ?? 0));
}
