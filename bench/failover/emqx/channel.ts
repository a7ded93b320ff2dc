import type { Socket } from 'node:net';
import {
  generate,
  type IConnectPacket,
  type IDisconnectPacket,
  type IPublishPacket,
  type ISubscribePacket,
  type IUnsubscribePacket,
  type Packet,
  parser,
} from 'mqtt-packet';
import type { Broker, Opened } from './broker.ts';
import type { Qos, Session, Speaker } from './session.ts';
import { takeoverFiresWill } from './waits.ts';

const TAKEN_OVER = 0x8e;
const CLIENT_ID_REFUSED = { v5: 0x85, v4: 2 };
const PACKET_ID_IN_USE = 0x91;
const PACKET_ID_UNKNOWN = 0x92;
/** What a 3.1.1 session without clean session lasts. */
const DEFAULT_EXPIRY_MS = 7_200_000;
const RECEIVE_MAXIMUM = 32;
const TOPIC_ALIASES = 0xffff;

type Will = NonNullable<IConnectPacket['will']>;

/**
 * One connection of a device. What it sends is done in its order, and while its CONNECT waits for another node nothing
 * else is: neither a packet behind it nor the end of the connection is seen before that.
 */
export class Channel implements Speaker {
  private readonly broker: Broker;
  private readonly socket: Socket;
  private readonly packets = parser();
  private readonly work: Packet[] = [];
  private isWorking = false;
  private isGone = false;
  private isOver = false;
  private version: 3 | 4 | 5 = 4;
  private clientId = '';
  private session: Session | undefined;
  private will: Will | undefined;
  private readonly aliases = new Map<number, string>();
  private heard = true;
  private watch: NodeJS.Timeout | undefined;

  constructor(broker: Broker, socket: Socket) {
    this.broker = broker;
    this.socket = socket;
    this.packets.on('packet', (packet: Packet) => this.work.push(packet));
    this.packets.on('error', () => this.socket.destroy());
    socket.setNoDelay(true);
    socket.on('error', () => {});
    socket.on('data', (chunk) => {
      this.heard = true;
      this.packets.parse(chunk);
      void this.run();
    });
    socket.once('close', () => {
      this.isGone = true;
      void this.run();
    });
  }

  private async run(): Promise<void> {
    if (this.isWorking) return;
    this.isWorking = true;
    for (let packet = this.work.shift(); packet !== undefined && !this.isOver; packet = this.work.shift()) {
      await this.handle(packet);
    }
    this.isWorking = false;
    if (this.isGone && !this.isOver) this.vanished();
  }

  private send(packet: Packet): void {
    if (!this.socket.destroyed)
      this.socket.write(generate(packet, { protocolVersion: this.version } as never));
  }

  /** A reason is MQTT 5's; before, the packet has none. */
  private answer(cmd: 'puback' | 'pubrec' | 'pubrel' | 'pubcomp', messageId: number, reason = 0): void {
    const hasReason = this.version === 5 && reason !== 0;
    this.send({ cmd, messageId, ...(hasReason && { reasonCode: reason }) } as Packet);
  }

  // ---- CONNECT ---------------------------------------------------------------------------------------------

  private async connect(packet: IConnectPacket): Promise<void> {
    const { clean = true, keepalive = 0, protocolVersion = 4, properties } = packet;
    this.version = protocolVersion;
    // Nothing is asked of another node for that [MQTT-3.1.3-8].
    if (packet.clientId === '' && !clean && this.version !== 5) return this.refuse();
    this.clientId = packet.clientId || `emqx-${Math.random().toString(36).slice(2)}`;
    const opened = await this.broker
      .open(this.clientId, clean, this.expiryOf(clean, properties?.sessionExpiryInterval))
      .catch(() => 'silent' as const);
    // The process of the connection has crashed: it knew of no Will yet, and tells nobody anything.
    if (opened === 'silent') return this.close();
    this.will = packet.will;
    if (opened === undefined) return this.refuse();
    this.session = opened.session;
    this.broker.connected(opened.session, this);
    await this.welcome(packet, opened);
    this.watchOver(keepalive);
  }

  private expiryOf(clean: boolean, seconds = 0): number {
    if (this.version === 5) return seconds * 1000;
    return clean ? 0 : DEFAULT_EXPIRY_MS;
  }

  /** The client id is locked. The Will of the connection that is refused is published, before 5.6. */
  private refuse(): void {
    const code = this.version === 5 ? CLIENT_ID_REFUSED.v5 : CLIENT_ID_REFUSED.v4;
    this.send(this.connack(code, false));
    if (!takeoverFiresWill) this.publishWill();
    this.close();
  }

  private connack(code: number, sessionPresent: boolean): Packet {
    if (this.version !== 5) return { cmd: 'connack', returnCode: code, sessionPresent };
    const properties = {
      receiveMaximum: RECEIVE_MAXIMUM,
      topicAliasMaximum: TOPIC_ALIASES,
      maximumPacketSize: 1_048_576,
    };
    return { cmd: 'connack', reasonCode: code, sessionPresent, ...(code === 0 && { properties }) };
  }

  private async welcome(
    { properties }: IConnectPacket,
    { session, isPresent, finish }: Opened,
  ): Promise<void> {
    this.send(this.connack(0, isPresent));
    await finish();
    if (this.session === session) session.attach(this, properties?.receiveMaximum ?? RECEIVE_MAXIMUM);
  }

  /** A device that is silent for one and a half keep-alives is given up; what waits in its socket is read first. */
  private watchOver(keepalive: number): void {
    if (keepalive === 0 || this.isOver) return;
    this.watch = setInterval(() => {
      setImmediate(() => {
        if (!this.heard) this.socket.destroy();
        this.heard = false;
      });
    }, keepalive * 1500);
  }

  // ---- the end ---------------------------------------------------------------------------------------------

  /** Another connection has the session. This one has not ended in the eyes of EMQX before 5.6: then there is no Will. */
  takenOver(): void {
    const isDelayed = (this.will?.properties?.willDelayInterval ?? 0) > 0;
    if (takeoverFiresWill && !isDelayed) this.publishWill();
    if (this.version === 5) this.send({ cmd: 'disconnect', reasonCode: TAKEN_OVER });
    this.session?.detach();
    this.session = undefined;
    this.will = undefined;
    this.close();
  }

  private close(): void {
    this.isOver = true;
    clearInterval(this.watch);
    this.socket.end();
    this.socket.destroySoon();
  }

  /** The connection ended without DISCONNECT. */
  private vanished(): void {
    this.publishWill();
    this.leave();
  }

  private leave(): void {
    const { session } = this;
    this.session = undefined;
    session?.detach();
    this.close();
    if (session !== undefined) this.broker.disconnected(session);
  }

  private disconnect({ reasonCode = 0, properties }: IDisconnectPacket): void {
    if (reasonCode === 0) this.will = undefined;
    const expiry = properties?.sessionExpiryInterval;
    if (expiry !== undefined && this.session !== undefined) this.session.expiryMs = expiry * 1000;
    this.vanished();
  }

  private publishWill(): void {
    const { will } = this;
    this.will = undefined;
    if (will !== undefined)
      this.broker.publish(this.clientId, will.topic, Buffer.from(will.payload), will.qos ?? 0);
  }

  // ---- packets ---------------------------------------------------------------------------------------------

  private async handle(packet: Packet): Promise<void> {
    const { session } = this;
    if (session === undefined) {
      if (packet.cmd !== 'connect') return void this.socket.destroy();
      return this.connect(packet);
    }
    const id = packet.messageId ?? 0;
    switch (packet.cmd) {
      case 'publish':
        return this.published(session, packet);
      case 'puback':
      case 'pubcomp':
        return session.acknowledged(id);
      case 'pubrec':
        return this.answer('pubrel', id, session.received(id) ? 0 : PACKET_ID_UNKNOWN);
      case 'pubrel':
        return this.answer('pubcomp', id, session.awaitingRelease.delete(id) ? 0 : PACKET_ID_UNKNOWN);
      case 'subscribe':
        return this.subscribed(session, packet);
      case 'unsubscribe':
        return this.unsubscribed(session, packet);
      case 'pingreq':
        return this.send({ cmd: 'pingresp' });
      case 'disconnect':
        return this.disconnect(packet);
      default:
        this.socket.destroy();
    }
  }

  private published(session: Session, packet: IPublishPacket): void {
    const { qos, messageId = 0, payload } = packet;
    if (qos === 2 && session.awaitingRelease.has(messageId))
      return this.answer('pubrec', messageId, PACKET_ID_IN_USE);
    if (qos === 2) session.awaitingRelease.add(messageId);
    this.broker.publish(this.clientId, this.topicOf(packet), Buffer.from(payload), qos);
    if (qos > 0) this.answer(qos === 1 ? 'puback' : 'pubrec', messageId);
  }

  private topicOf({ topic, properties }: IPublishPacket): string {
    const alias = properties?.topicAlias;
    if (alias === undefined) return topic;
    if (topic !== '') this.aliases.set(alias, topic);
    return this.aliases.get(alias) ?? '';
  }

  private subscribed(session: Session, { messageId, subscriptions }: ISubscribePacket): void {
    for (const { topic, qos, nl = false } of subscriptions) {
      session.subscriptions.set(topic, { qos: qos as Qos, noLocal: nl });
    }
    this.send({ cmd: 'suback', messageId, granted: subscriptions.map(({ qos }) => qos) } as Packet);
  }

  private unsubscribed(session: Session, { messageId, unsubscriptions }: IUnsubscribePacket): void {
    for (const filter of unsubscriptions) session.subscriptions.delete(filter);
    this.send({ cmd: 'unsuback', messageId, granted: unsubscriptions.map(() => 0) } as Packet);
  }

  publish(packet: IPublishPacket): void {
    this.send(packet);
  }

  release(packetId: number): void {
    this.answer('pubrel', packetId);
  }
}
