import type { Packet } from 'mqtt-packet';
import { type Message, messageOf, publish } from './model-broker.ts';

/** A device that keeps to the standard, and fails the test as soon as what it is shown does not. */
export class ModelDevice {
  /** Exchanges of its own: PUBLISH, and SUBSCRIBE and UNSUBSCRIBE, by packet id. */
  readonly asked = new Map<number, { readonly cmd: string; readonly message?: Message; state: string }>();
  /** Messages that it has not finished with, by packet id. */
  readonly held = new Map<
    number,
    { readonly message: Message; state: 'published' | 'received' | 'released' }
  >();
  readonly subscriptions = new Map<string, number>();
  readonly received: Message[] = [];
  readonly acknowledged: Message[] = [];
  /** What it owes an answer, oldest first; it takes its time. */
  private readonly owed: Packet[] = [];
  private readonly receiveMaximum: number;
  private readonly send: (packet: Packet) => void;
  sendMaximum = 65_535;
  connacks = 0;
  pings = 0;
  private nextId = 1;

  constructor(receiveMaximum: number, send: (packet: Packet) => void) {
    this.receiveMaximum = receiveMaximum;
    this.send = send;
  }

  publish(message: Message): boolean {
    if (message.qos === 0) {
      this.send(publish(message, undefined, false));
      return true;
    }
    const publishes = [...this.asked.values()].filter(({ cmd }) => cmd === 'publish').length;
    if (publishes >= Math.min(this.sendMaximum, 12)) return false;
    const id = this.takeId();
    this.asked.set(id, { cmd: 'publish', message, state: 'published' });
    this.send(publish(message, id, false));
    return true;
  }

  /** One at a time, so that the device knows what it is subscribed to. */
  subscribe(topic: string, qos: 0 | 1 | 2 | undefined): void {
    if ([...this.asked.values()].some(({ cmd }) => cmd !== 'publish')) return;
    const messageId = this.takeId();
    if (qos === undefined) {
      this.asked.set(messageId, { cmd: 'unsubscribe', state: topic });
      this.send({ cmd: 'unsubscribe', messageId, unsubscriptions: [topic] });
    } else {
      this.asked.set(messageId, { cmd: 'subscribe', state: topic });
      this.send({ cmd: 'subscribe', messageId, subscriptions: [{ topic, qos }] });
    }
  }

  ping(): void {
    this.pings++;
    this.send({ cmd: 'pingreq' });
  }

  /** Gives one of the answers that it owes. */
  answer(): boolean {
    const packet = this.owed.shift();
    if (packet === undefined) return false;
    const id = packet.messageId as number;
    if (packet.cmd === 'puback' || packet.cmd === 'pubcomp') this.held.delete(id);
    const held = this.held.get(id);
    if (packet.cmd === 'pubrec' && held !== undefined) held.state = 'received';
    const asked = this.asked.get(id);
    if (packet.cmd === 'pubrel' && asked !== undefined) asked.state = 'released';
    this.send(packet);
    return true;
  }

  receive(packet: Packet): void {
    const id = packet.messageId as number;
    switch (packet.cmd) {
      case 'connack':
        this.connacks++;
        this.sendMaximum = packet.properties?.receiveMaximum ?? 65_535;
        if (this.connacks > 1) throw new Error('second CONNACK');
        return;
      case 'publish':
        return this.published(id, packet.dup, messageOf(packet));
      case 'pubrel':
        return this.released(id);
      case 'puback':
        return this.finish(id, 1, 'published');
      case 'pubcomp':
        return this.finish(id, 2, 'released');
      case 'pubrec': {
        const asked = this.asked.get(id);
        if (asked?.message?.qos !== 2) throw new Error(`unknown PUBREC ${id}`);
        this.acknowledged.push(asked.message);
        if (asked.state === 'published') this.owed.push({ cmd: 'pubrel', messageId: id });
        asked.state = 'received';
        return;
      }
      case 'suback':
      case 'unsuback': {
        const asked = this.asked.get(id);
        if (`${asked?.cmd.slice(0, -'scribe'.length)}ack` !== packet.cmd)
          throw new Error(`unknown ${packet.cmd} ${id}`);
        this.asked.delete(id);
        const topic = asked?.state as string;
        if (packet.cmd === 'suback') this.subscriptions.set(topic, packet.granted[0] as number);
        else this.subscriptions.delete(topic);
        return;
      }
      case 'pingresp':
        if (--this.pings < 0) throw new Error('PINGRESP that nobody asked for');
        return;
      default:
        throw new Error(`the device gets ${packet.cmd}`);
    }
  }

  private published(id: number, dup: boolean, message: Message): void {
    this.received.push(message);
    if (message.qos === 0) return;
    const held = this.held.get(id);
    if (held !== undefined && !(dup && held.message.number === message.number))
      throw new Error(`${id} is in flight`);
    if (held === undefined) this.held.set(id, { message, state: 'published' });
    if (this.held.size > this.receiveMaximum) throw new Error('Receive Maximum of the device exceeded');
    this.owed.push({ cmd: message.qos === 1 ? 'puback' : 'pubrec', messageId: id });
  }

  private released(id: number): void {
    const held = this.held.get(id);
    if (held?.state === 'published') throw new Error(`PUBREL ${id} before PUBREC`);
    if (held !== undefined && held.message.qos !== 2) throw new Error(`PUBREL ${id} for QoS 1`);
    if (held !== undefined) held.state = 'released';
    this.owed.push({ cmd: 'pubcomp', messageId: id });
  }

  private finish(id: number, qos: number, state: string): void {
    const asked = this.asked.get(id);
    if (asked?.message?.qos !== qos || asked.state !== state)
      throw new Error(`unknown acknowledgement of ${id}`);
    if (qos === 1) this.acknowledged.push(asked.message);
    this.asked.delete(id);
  }

  private takeId(): number {
    while (this.asked.has(this.nextId)) this.nextId = (this.nextId % 20) + 1;
    const id = this.nextId;
    this.nextId = (id % 20) + 1;
    return id;
  }
}
