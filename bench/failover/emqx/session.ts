import type { IPublishPacket } from 'mqtt-packet';
import { matches } from './topics.ts';

export type Qos = 0 | 1 | 2;

export interface Message {
  /** One for each message of the cluster. */
  readonly id: string;
  readonly topic: string;
  readonly payload: Uint8Array;
  readonly qos: Qos;
  readonly publisher: string;
}

interface Inflight {
  readonly message: Message;
  readonly qos: Qos;
  isReceived: boolean;
}

/** A session on its way to another node. */
export interface Snapshot {
  readonly clientId: string;
  readonly expiryMs: number;
  readonly subscriptions: readonly (readonly [string, Subscription])[];
  readonly inflight: readonly (readonly [number, Inflight])[];
  readonly queue: readonly Message[];
  readonly awaitingRelease: readonly number[];
  readonly lastId: number;
}

export interface Subscription {
  readonly qos: Qos;
  readonly noLocal: boolean;
}

/** The connection that a session speaks on. */
export interface Speaker {
  publish(packet: IPublishPacket): void;
  release(packetId: number): void;
}

const MAX_INFLIGHT = 32;
const MAX_QUEUE = 1000;
const IDS = 0xffff;

/** One MQTT session of the stand-in: what is subscribed, and what is on its way to the device. */
export class Session {
  readonly clientId: string;
  expiryMs: number;
  readonly subscriptions: Map<string, Subscription>;
  /** Packet ids of QoS 2 messages of the device that it has not released. */
  readonly awaitingRelease: Set<number>;
  /** The node that another one has asked for this session gives it nothing more to deliver: it goes along at the end. */
  pendings: Message[] | undefined;
  private inflight: Map<number, Inflight>;
  private queue: Message[];
  private lastId: number;
  private room = MAX_INFLIGHT;
  private speaker: Speaker | undefined;

  constructor(clientId: string, expiryMs: number, from?: Snapshot) {
    this.clientId = clientId;
    this.expiryMs = expiryMs;
    this.subscriptions = new Map(from?.subscriptions);
    this.awaitingRelease = new Set(from?.awaitingRelease);
    this.inflight = new Map(from?.inflight);
    this.queue = [...(from?.queue ?? [])];
    this.lastId = from?.lastId ?? 0;
  }

  snapshot(): Snapshot {
    return {
      clientId: this.clientId,
      expiryMs: this.expiryMs,
      subscriptions: [...this.subscriptions],
      inflight: [...this.inflight],
      queue: [...this.queue],
      awaitingRelease: [...this.awaitingRelease],
      lastId: this.lastId,
    };
  }

  /** What the node before took in while the session was on its way; it comes before what came here meanwhile. */
  addPendings(pendings: readonly Message[], waitingHere: readonly Message[]): void {
    const known = new Set(pendings.map(({ id }) => id));
    const all = [...pendings, ...waitingHere.filter(({ id }) => !known.has(id))];
    for (const message of all) this.enqueue(message);
  }

  /** The device is there: what is in flight comes again, then what has waited. */
  attach(speaker: Speaker, receiveMaximum: number): void {
    this.speaker = speaker;
    this.room = Math.min(MAX_INFLIGHT, receiveMaximum);
    for (const [messageId, { message, qos, isReceived }] of this.inflight) {
      if (isReceived) speaker.release(messageId);
      else speaker.publish(packetOf(message, qos, messageId, true));
    }
    this.pump();
  }

  detach(): void {
    this.speaker = undefined;
  }

  /** Takes the message if it is subscribed to. */
  offer(message: Message): void {
    if (this.qosFor(message) === undefined) return;
    if (this.pendings !== undefined) this.pendings.push(message);
    else this.enqueue(message);
  }

  private enqueue(message: Message): void {
    this.queue.push(message);
    if (this.queue.length > MAX_QUEUE) this.queue.shift();
    this.pump();
  }

  private qosFor(message: Message): Qos | undefined {
    let granted: Qos | undefined;
    for (const [filter, { qos, noLocal }] of this.subscriptions) {
      if (!matches(filter, message.topic) || (noLocal && message.publisher === this.clientId)) continue;
      if (granted === undefined || qos > granted) granted = qos;
    }
    return granted === undefined ? undefined : (Math.min(granted, message.qos) as Qos);
  }

  private pump(): void {
    while (this.speaker !== undefined && this.queue.length > 0) {
      const [message] = this.queue as [Message];
      const qos = this.qosFor(message) ?? 0;
      if (qos > 0 && this.inflight.size >= this.room) return;
      this.queue.shift();
      if (qos === 0) {
        this.speaker.publish(packetOf(message, 0, undefined, false));
        continue;
      }
      const messageId = this.freeId();
      this.inflight.set(messageId, { message, qos, isReceived: false });
      this.speaker.publish(packetOf(message, qos, messageId, false));
    }
  }

  private freeId(): number {
    do this.lastId = (this.lastId % IDS) + 1;
    while (this.inflight.has(this.lastId));
    return this.lastId;
  }

  /** PUBACK or PUBCOMP of the device. */
  acknowledged(messageId: number): void {
    this.inflight.delete(messageId);
    this.pump();
  }

  /** PUBREC of the device. False: the packet id is unknown. */
  received(messageId: number): boolean {
    const entry = this.inflight.get(messageId);
    if (entry !== undefined) entry.isReceived = true;
    return entry !== undefined;
  }
}

function packetOf(
  { topic, payload }: Message,
  qos: Qos,
  messageId: number | undefined,
  dup: boolean,
): IPublishPacket {
  const body = { topic, payload: Buffer.from(payload), qos, dup, retain: false };
  return { cmd: 'publish', ...body, ...(messageId !== undefined && { messageId }) };
}
