import { uint16 } from '../base/bytes.ts';
import { fieldEnd } from '../protocol/mqtt/field.ts';
import { propertiesEnd } from '../protocol/mqtt/properties.ts';
import type { ProtocolVersion } from '../protocol/mqtt/protocol.ts';
import { PacketScanner } from './packet-scanner.ts';

/** What the packets of one device are, as they pass: for people who look at it. */

export interface TracedPacket {
  /** Milliseconds since 1970. */
  readonly atMs: number;
  readonly direction: 'from-device' | 'to-device';
  /** Such as `publish`. */
  readonly type: string;
  /** Bytes, its fixed header included. */
  readonly size: number;
  readonly id?: number | undefined;
  /** Reason or return code. */
  readonly code?: number | undefined;
  /** Empty: an alias stands for it (MQTT 5). */
  readonly topic?: string | undefined;
  readonly qos?: number | undefined;
  readonly dup?: boolean | undefined;
  readonly retain?: boolean | undefined;
  /** Of SUBSCRIBE and UNSUBSCRIBE, the first ones. */
  readonly filters?: readonly string[] | undefined;
  readonly payloadSize?: number | undefined;
  /** Its beginning in Base64, where it was asked for. */
  readonly payload?: string | undefined;
}

/** Packets that wait to be taken; what comes beyond them is counted. With four takes a second a thousand pass. */
export const MAX_WAITING = 256;
/** A reader that has taken nothing for so long has gone. */
const READER_GONE_MS = 10_000;
const MAX_TEXT_BYTES = 256;
const MAX_FILTERS = 5;
const MAX_PAYLOAD_BYTES = 256;

/** By the type in the fixed header (MQTT 5.0 clause 2.1.2). */
const names = [
  ...['reserved', 'connect', 'connack', 'publish', 'puback', 'pubrec', 'pubrel', 'pubcomp'],
  ...['subscribe', 'suback', 'unsubscribe', 'unsuback', 'pingreq', 'pingresp', 'disconnect', 'auth'],
] as const;

const utf8 = new TextDecoder();

interface TraceOptions {
  readonly version: ProtocolVersion;
  readonly payloads: boolean;
  /** Milliseconds since 1970. */
  readonly now: () => number;
}

export class PacketTrace {
  private readonly options: TraceOptions;
  /** Undefined until a packet is known to begin: a trace may be switched on in the middle of one. */
  private fromDeviceScanner: PacketScanner | undefined;
  private toDeviceScanner: PacketScanner | undefined;
  private waiting: TracedPacket[] = [];
  private dropped = 0;
  private takenAtMs: number;

  constructor(options: TraceOptions) {
    this.options = options;
    this.takenAtMs = options.now();
  }

  get isForsaken(): boolean {
    return this.options.now() - this.takenAtMs > READER_GONE_MS;
  }

  /** @param isBetweenPackets no packet is under way, in either direction */
  fromDevice(bytes: Uint8Array, start: number, end: number, isBetweenPackets: boolean): void {
    if (isBetweenPackets) this.fromDeviceScanner ??= new PacketScanner();
    this.fromDeviceScanner?.feed(bytes, start, end, (...packet) => this.add('from-device', ...packet));
  }

  toDevice(bytes: Uint8Array, start: number, end: number, isBetweenPackets: boolean): void {
    if (isBetweenPackets) this.toDeviceScanner ??= new PacketScanner();
    this.toDeviceScanner?.feed(bytes, start, end, (...packet) => this.add('to-device', ...packet));
  }

  /** What has passed since it was last asked for, and how many packets more than could wait. */
  take(): { readonly packets: readonly TracedPacket[]; readonly dropped: number } {
    const { waiting: packets, dropped } = this;
    this.waiting = [];
    this.dropped = 0;
    this.takenAtMs = this.options.now();
    return { packets, dropped };
  }

  private add(
    direction: TracedPacket['direction'],
    head: Uint8Array,
    bodyAt: number,
    known: number,
    size: number,
  ): void {
    if (this.waiting.length >= MAX_WAITING) {
      this.dropped++;
      return;
    }
    const { version, payloads, now } = this.options;
    const details = describe(head, bodyAt, known, size, version, payloads);
    this.waiting.push({ atMs: now(), direction, ...details, size });
  }
}

type Details = Omit<TracedPacket, 'atMs' | 'direction' | 'size'>;

function describe(
  head: Uint8Array,
  bodyAt: number,
  known: number,
  size: number,
  version: ProtocolVersion,
  payloads: boolean,
): Details {
  const type = names[(head[0] as number) >> 4] ?? 'reserved';
  const byteAt = (at: number): number | undefined => (at < known ? head[at] : undefined);
  switch (type) {
    case 'publish':
      return { type, ...publishDetails(head, bodyAt, known, size, version, payloads) };
    case 'subscribe':
    case 'unsubscribe':
      return { type, id: idAt(head, bodyAt, known), filters: filtersOf(type, head, bodyAt, known, version) };
    case 'puback':
    case 'pubrec':
    case 'pubrel':
    case 'pubcomp':
      return { type, id: idAt(head, bodyAt, known), code: byteAt(bodyAt + 2) };
    case 'suback':
    case 'unsuback':
      return { type, id: idAt(head, bodyAt, known) };
    case 'connack':
      return { type, code: byteAt(bodyAt + 1) };
    case 'disconnect':
      return { type, code: byteAt(bodyAt) };
    default:
      return { type };
  }
}

function publishDetails(
  head: Uint8Array,
  bodyAt: number,
  known: number,
  size: number,
  version: ProtocolVersion,
  payloads: boolean,
): Omit<Details, 'type'> {
  const flags = head[0] as number;
  const qos = (flags >> 1) & 3;
  const facts = {
    qos,
    dup: (flags & 8) !== 0,
    retain: (flags & 1) !== 0,
    topic: textAt(head, bodyAt, known),
  };
  const topicEnd = fieldEnd(head, bodyAt, known);
  if (topicEnd < 0) return facts;
  const id = qos === 0 ? undefined : idAt(head, topicEnd, known);
  const propertiesAt = topicEnd + (qos === 0 ? 0 : 2);
  const payloadAt = version === 5 ? propertiesEnd(head, propertiesAt, known) : propertiesAt;
  if (payloadAt < 0 || payloadAt > size) return { ...facts, id };
  const payloadSize = size - payloadAt;
  if (!payloads) return { ...facts, id, payloadSize };
  const shown = head.subarray(payloadAt, Math.min(known, payloadAt + MAX_PAYLOAD_BYTES));
  return { ...facts, id, payloadSize, payload: Buffer.from(shown).toString('base64') };
}

function filtersOf(
  type: 'subscribe' | 'unsubscribe',
  head: Uint8Array,
  bodyAt: number,
  known: number,
  version: ProtocolVersion,
): string[] {
  const filters: string[] = [];
  let at = version === 5 ? propertiesEnd(head, bodyAt + 2, known) : bodyAt + 2;
  while (at >= 0 && at < known && filters.length < MAX_FILTERS) {
    filters.push(textAt(head, at, known));
    const behind = fieldEnd(head, at, known);
    at = behind < 0 ? behind : behind + (type === 'subscribe' ? 1 : 0);
  }
  return filters;
}

function idAt(head: Uint8Array, at: number, known: number): number | undefined {
  return at + 2 <= known ? uint16(head, at) : undefined;
}

/** A text field, as far as it is known and is to be shown. */
function textAt(head: Uint8Array, at: number, known: number): string {
  if (at + 2 > known) return '';
  const length = uint16(head, at);
  const shown = Math.min(length, MAX_TEXT_BYTES, known - at - 2);
  return `${utf8.decode(head.subarray(at + 2, at + 2 + shown))}${shown < length ? '…' : ''}`;
}
