import type { Packet } from 'mqtt-packet';

/** A message with a number that no other has: its payload. */
export interface Message {
  readonly topic: string;
  readonly qos: 0 | 1 | 2;
  readonly number: number;
}

interface Outgoing {
  readonly id: number;
  readonly message: Message;
  state: 'published' | 'released';
}

/** What a broker keeps of one client; where brokers share sessions, the one copy of it. */
export interface BrokerSession {
  subscriptions: Map<string, number>;
  outgoing: Outgoing[];
  queue: Message[];
  /** QoS 2 packet ids between PUBLISH and PUBREL. */
  incoming: Set<number>;
  nextId: number;
}

export function newSession(firstId: number): BrokerSession {
  return { subscriptions: new Map(), outgoing: [], queue: [], incoming: new Set(), nextId: firstId };
}

export interface BrokerRules {
  /** Leaves DUP out when it redelivers, as aedes does. */
  readonly forgetsDup: boolean;
  readonly receiveMaximum: number;
}

/** One node serving one client over one link: strict about what the standard demands of a client. */
export class ModelBroker {
  readonly session: BrokerSession;
  private readonly rules: BrokerRules;
  private readonly present: boolean;
  private readonly send: (packet: Packet) => void;
  /** Told of every message that this node takes on. */
  private readonly accept: (message: Message) => void;
  private deviceMaximum = 65_535;
  private connected = false;
  private inFlight = new Set<number>();

  constructor(
    session: BrokerSession,
    present: boolean,
    rules: BrokerRules,
    send: (packet: Packet) => void,
    accept: (message: Message) => void,
  ) {
    this.session = session;
    this.present = present;
    this.rules = rules;
    this.send = send;
    this.accept = accept;
  }

  /** A message for the client's subscriptions. True when it is on its way, or queued. */
  route(message: Message): boolean {
    const granted = this.session.subscriptions.get(message.topic);
    if (granted === undefined) return false;
    const qos = Math.min(granted, message.qos) as 0 | 1 | 2;
    if (qos === 0) {
      if (this.connected) this.send(publish({ ...message, qos }, undefined, false));
      return false;
    }
    this.session.queue.push({ ...message, qos });
    this.deliverQueue();
    return true;
  }

  receive(packet: Packet): void {
    const { session } = this;
    if (packet.cmd !== 'connect' && !this.connected) throw new Error(`${packet.cmd} before CONNECT`);
    switch (packet.cmd) {
      case 'connect':
        return this.connect(packet.properties?.receiveMaximum ?? 65_535);
      case 'publish':
        return this.published(packet.messageId, packet.dup, messageOf(packet));
      case 'pubrel': {
        const id = packet.messageId as number;
        session.incoming.delete(id);
        this.inFlight.delete(id);
        return this.send({ cmd: 'pubcomp', messageId: id });
      }
      case 'puback':
        return this.acknowledged(packet.messageId as number, 1);
      case 'pubcomp':
        return this.acknowledged(packet.messageId as number, 2);
      case 'pubrec': {
        const entry = session.outgoing.find(({ id }) => id === packet.messageId);
        if (entry === undefined || entry.message.qos !== 2)
          throw new Error(`unknown PUBREC ${packet.messageId}`);
        entry.state = 'released';
        return this.send({ cmd: 'pubrel', messageId: entry.id });
      }
      case 'subscribe':
        for (const { topic, qos } of packet.subscriptions) session.subscriptions.set(topic, qos);
        return this.send({
          cmd: 'suback',
          messageId: packet.messageId as number,
          granted: packet.subscriptions.map(({ qos }) => qos),
        });
      case 'unsubscribe':
        for (const topic of packet.unsubscriptions) session.subscriptions.delete(topic);
        return this.send({
          cmd: 'unsuback',
          messageId: packet.messageId as number,
          granted: packet.unsubscriptions.map(() => 0),
        });
      case 'pingreq':
        return this.send({ cmd: 'pingresp' });
      default:
        throw new Error(`a node gets ${packet.cmd}`);
    }
  }

  /** CONNACK, and what the session has not been acknowledged for [MQTT-4.4.0-1]. */
  private connect(deviceMaximum: number): void {
    if (this.connected) throw new Error('second CONNECT on one link');
    this.connected = true;
    this.deviceMaximum = deviceMaximum;
    const { receiveMaximum, forgetsDup } = this.rules;
    this.send({
      cmd: 'connack',
      sessionPresent: this.present,
      reasonCode: 0,
      returnCode: 0,
      properties: { receiveMaximum },
    });
    for (const { id, message, state } of this.session.outgoing) {
      if (state === 'released') this.send({ cmd: 'pubrel', messageId: id });
      else this.send(publish(message, id, !forgetsDup));
    }
    this.deliverQueue();
  }

  private published(id: number | undefined, dup: boolean, message: Message): void {
    if (message.qos === 0) return this.accept(message);
    if (id === undefined) throw new Error('PUBLISH without a packet id');
    if (message.qos === 1) {
      this.accept(message);
      return this.send({ cmd: 'puback', messageId: id });
    }
    this.inFlight.add(id);
    if (this.inFlight.size > this.rules.receiveMaximum)
      throw new Error('Receive Maximum of the node exceeded');
    if (!this.session.incoming.has(id)) this.accept(message);
    else if (!dup) throw new Error(`packet id ${id} is used again`);
    this.session.incoming.add(id);
    this.send({ cmd: 'pubrec', messageId: id });
  }

  private acknowledged(id: number, qos: number): void {
    const { outgoing } = this.session;
    const index = outgoing.findIndex((entry) => entry.id === id);
    const entry = outgoing[index];
    if (entry === undefined || entry.message.qos !== qos) throw new Error(`unknown acknowledgement of ${id}`);
    if (qos === 2 && entry.state !== 'released') throw new Error(`PUBCOMP ${id} before PUBREL`);
    outgoing.splice(index, 1);
    this.deliverQueue();
  }

  private deliverQueue(): void {
    const { session } = this;
    while (this.connected && session.outgoing.length < this.deviceMaximum) {
      const message = session.queue.shift();
      if (message === undefined) return;
      while (session.outgoing.some(({ id }) => id === session.nextId))
        session.nextId = (session.nextId % 20) + 1;
      const id = session.nextId;
      session.nextId = (id % 20) + 1; // few ids, so that they collide
      session.outgoing.push({ id, message, state: 'published' });
      this.send(publish(message, id, false));
    }
  }
}

export function publish(message: Message, id: number | undefined, dup: boolean): Packet {
  const { topic, qos, number } = message;
  return {
    cmd: 'publish',
    topic,
    qos,
    dup,
    retain: false,
    payload: String(number),
    ...(id && { messageId: id }),
  };
}

export function messageOf(packet: Packet & { cmd: 'publish' }): Message {
  return { topic: packet.topic, qos: packet.qos, number: Number(packet.payload) };
}
