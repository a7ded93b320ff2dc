import type { Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import { generate, type IPublishPacket, type Packet, parser } from 'mqtt-packet';
import type { Door } from './doors.ts';
import type { Qos } from './ledger.ts';

export interface DeviceOptions {
  /** How it connects; of several it takes the next one each time. */
  readonly doors: readonly Door[];
  readonly clientId: string;
  readonly protocolVersion: 4 | 5;
  /** Clean session, or Clean Start. */
  readonly clean: boolean;
  readonly willTopic?: string;
  readonly subscribeTo: string;
  /** After a disconnect it comes back in about a second, as mqtt.js does; without, it stays away. */
  readonly comesBack: boolean;
  /** Instead of that second, in milliseconds. */
  readonly backAfterMs?: number | undefined;
  readonly onMessage: (topic: string, payload: string) => void;
  /** The connection ended though nobody asked for it. */
  readonly onDisconnect: (why: string) => void;
  /** It has come back after a disconnect, so many milliseconds later. */
  readonly onReturn?: (afterMs: number) => void;
  /** A CONNACK that says no, where it comes back. */
  readonly onRefusal?: (code: number) => void;
  /** A packet that the standard forbids here. */
  readonly onViolation: (what: string) => void;
}

interface Exchange {
  readonly packet: IPublishPacket;
  readonly sentAtMs: number;
  readonly acknowledged: (afterMs: number) => void;
  isReceived: boolean;
}

const KEEP_ALIVE_S = 60;
const COMES_BACK_MS = 1_000;
/** A device that waits so long for CONNACK or PINGRESP takes the connection for dead, as clients do by default. */
const PATIENCE_MS = 30_000;
const EXPIRY_S = 300;

/** An MQTT client that is small enough to have thousands of, and strict about what it is sent. */
export class Device {
  private readonly options: DeviceOptions;
  private stream: Duplex | undefined;
  private socket: Socket | undefined;
  private connected: (() => void) | undefined;
  private isAccepted = false;
  private isSubscribed = false;
  private isLeaving = false;
  /** Publishes that are not acknowledged, in their order. */
  private readonly outgoing = new Map<number, Exchange>();
  /** QoS 2 messages that are received and not released, by packet id. */
  private readonly incoming = new Map<number, string>();
  private lastId = 1;
  private pings = 0;
  private pingedAtMs = 0;
  private attempts = 0;
  private lostAtMs = 0;
  private patience: NodeJS.Timeout | undefined;

  constructor(options: DeviceOptions) {
    this.options = options;
  }

  get isConnected(): boolean {
    return this.isAccepted;
  }

  /** Of its end of the TCP connection; 0 without one. */
  get localPort(): number {
    return this.socket?.localPort ?? 0;
  }

  get inflight(): number {
    return this.outgoing.size;
  }

  /** Payloads of QoS 2 publishes that have PUBREC, and no PUBCOMP. */
  get halfway(): string[] {
    return [...this.outgoing.values()]
      .filter(({ isReceived }) => isReceived)
      .map(({ packet }) => packet.payload.toString());
  }

  /** PINGREQs that were not answered. */
  get unansweredPings(): number {
    return this.pings;
  }

  /** Resolves when the device is subscribed. */
  start(): Promise<void> {
    return new Promise((resolve) => {
      this.connected = resolve;
      this.open();
    });
  }

  private open(): void {
    const { doors, protocolVersion } = this.options;
    const door = doors[this.attempts++ % doors.length] as Door;
    const { stream, socket } = door();
    const packets = parser({ protocolVersion });
    let error = '';
    packets.on('packet', (packet: Packet) => this.receive(packet));
    packets.on('error', ({ message }: Error) => this.options.onViolation(message));
    stream.on('data', (chunk) => packets.parse(chunk));
    for (const each of new Set([stream, socket])) {
      each.on('error', ({ message }: Error) => {
        error ||= message;
      });
    }
    stream.once('close', () => this.closed(error || 'closed'));
    this.stream = stream;
    this.socket = socket;
    this.isAccepted = false;
    this.patience = setTimeout(() => stream.destroy(), PATIENCE_MS);
    this.sendConnect();
  }

  private sendConnect(): void {
    const { clientId, protocolVersion, clean, willTopic } = this.options;
    this.send({
      cmd: 'connect',
      protocolId: 'MQTT',
      protocolVersion,
      clientId,
      clean: clean && !this.isSubscribed,
      keepalive: KEEP_ALIVE_S,
      ...(willTopic !== undefined && {
        will: { topic: willTopic, payload: Buffer.from(clientId), qos: 1, retain: false },
      }),
      ...(protocolVersion === 5 && { properties: { sessionExpiryInterval: EXPIRY_S } }),
    });
  }

  private closed(why: string): void {
    this.stream = undefined;
    this.socket = undefined;
    clearTimeout(this.patience);
    if (this.isLeaving) return;
    if (this.isAccepted) {
      this.lostAtMs = performance.now();
      this.options.onDisconnect(why);
    }
    this.isAccepted = false;
    this.pings = 0;
    const { comesBack, backAfterMs = COMES_BACK_MS } = this.options;
    if (comesBack) setTimeout(() => !this.isLeaving && this.open(), backAfterMs * (0.5 + Math.random()));
  }

  publish(topic: string, payload: string, qos: Qos, acknowledged: (afterMs: number) => void): void {
    const packet: IPublishPacket = { cmd: 'publish', topic, payload, qos, dup: false, retain: false };
    if (qos > 0) {
      packet.messageId = this.freeId();
      this.outgoing.set(packet.messageId, {
        ...{ packet, acknowledged, sentAtMs: performance.now(), isReceived: false },
      });
    }
    this.send(packet);
  }

  ping(): void {
    if (!this.isAccepted) return;
    if (this.pings > 0 && performance.now() - this.pingedAtMs > PATIENCE_MS) this.stream?.destroy();
    if (this.pings === 0) this.pingedAtMs = performance.now();
    this.pings++;
    this.send({ cmd: 'pingreq' });
  }

  /** DISCONNECT; resolves when the socket is closed. */
  leave(): Promise<void> {
    const { stream } = this;
    this.isLeaving = true;
    if (stream === undefined) return Promise.resolve();
    this.send({ cmd: 'disconnect' });
    stream.end();
    return new Promise((resolve) => stream.once('close', () => resolve()));
  }

  private freeId(): number {
    do this.lastId = (this.lastId % 0xffff) + 1;
    while (this.outgoing.has(this.lastId));
    return this.lastId;
  }

  private send(packet: Packet): void {
    this.stream?.write(generate(packet, { protocolVersion: this.options.protocolVersion } as never));
  }

  private receive(packet: Packet): void {
    const id = packet.messageId ?? 0;
    switch (packet.cmd) {
      case 'connack':
        return this.accepted(packet.returnCode ?? packet.reasonCode ?? 0, packet.sessionPresent);
      case 'suback':
        if (packet.granted.some((code) => (code as number) >= 0x80))
          this.options.onViolation('SUBACK refuses');
        this.isSubscribed = true;
        this.connected?.();
        this.connected = undefined;
        return;
      case 'publish':
        return this.delivered(packet);
      case 'pubrel':
        this.incoming.delete(id); // one that is unknown is answered likewise (4.3.3)
        return this.send({ cmd: 'pubcomp', messageId: id });
      case 'puback':
        return this.acknowledged(id, 1);
      case 'pubrec':
        return this.halfAcknowledged(id);
      case 'pubcomp':
        return this.acknowledged(id, 2);
      case 'pingresp':
        if (this.pings-- <= 0) this.options.onViolation('PINGRESP without PINGREQ');
        this.pingedAtMs = performance.now();
        return;
      case 'disconnect':
        return this.options.onViolation(`DISCONNECT 0x${(packet.reasonCode ?? 0).toString(16)}`);
      default:
        this.options.onViolation(`${packet.cmd} from a server`);
    }
  }

  private accepted(code: number, sessionPresent: boolean): void {
    clearTimeout(this.patience);
    if (code !== 0) return this.refused(code);
    this.isAccepted = true;
    if (this.lostAtMs > 0) this.options.onReturn?.(performance.now() - this.lostAtMs);
    this.lostAtMs = 0;
    if (!sessionPresent) this.incoming.clear();
    if (!sessionPresent || !this.isSubscribed) {
      const subscriptions = [{ topic: this.options.subscribeTo, qos: 2 as const }];
      this.send({ cmd: 'subscribe', messageId: 1, subscriptions });
    }
    for (const [messageId, exchange] of this.outgoing) {
      if (!sessionPresent) exchange.isReceived = false;
      if (exchange.isReceived) this.send({ cmd: 'pubrel', messageId });
      else this.send({ ...exchange.packet, dup: true });
    }
  }

  private refused(code: number): void {
    const { comesBack, onRefusal, onViolation } = this.options;
    if (!comesBack || onRefusal === undefined) onViolation(`CONNACK ${code}`);
    else onRefusal(code);
    this.stream?.destroy();
  }

  private delivered({ topic, payload, qos, messageId = 0 }: IPublishPacket): void {
    if (qos === 2) {
      this.deliveredOnce(topic, payload.toString(), messageId);
      return this.send({ cmd: 'pubrec', messageId });
    }
    this.options.onMessage(topic, payload.toString());
    if (qos === 1) this.send({ cmd: 'puback', messageId });
  }

  /** A message under an id that is not released is taken for the one before [MQTT-4.3.3-10]. */
  private deliveredOnce(topic: string, payload: string, id: number): void {
    const held = this.incoming.get(id);
    if (held === undefined) this.options.onMessage(topic, payload);
    else if (held !== payload)
      return this.options.onViolation(
        `packet id ${id} is not released of "${held}": "${payload}" is dropped`,
      );
    this.incoming.set(id, payload);
  }

  private halfAcknowledged(id: number): void {
    const exchange = this.outgoing.get(id);
    if (exchange?.packet.qos !== 2) return this.options.onViolation(`PUBREC for unknown packet id ${id}`);
    exchange.isReceived = true;
    this.send({ cmd: 'pubrel', messageId: id });
  }

  private acknowledged(id: number, qos: Qos): void {
    const exchange = this.outgoing.get(id);
    if (exchange?.packet.qos !== qos || (qos === 2 && !exchange.isReceived)) {
      return this.options.onViolation(`acknowledgement of unknown packet id ${id}, qos ${qos}`);
    }
    this.outgoing.delete(id);
    exchange.acknowledged(performance.now() - exchange.sentAtMs);
  }
}
