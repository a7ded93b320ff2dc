import type { Aedes, AedesPublishPacket, Client } from 'aedes';

/** Messages that may come while a session catches up; a device with more is closed, and they stay in its queue. */
const MAX_HELD = 10_000;
/** Messages remembered of each client: the end of its queue is what may come a second time. */
const MAX_RECENT = 256;

type Done = (error?: Error | null) => void;
type Deliver = (packet: AedesPublishPacket, done: Done) => void;
/** What aedes has and its types do not. */
type Inside = Client & { deliver0: Deliver; deliverQoS: Deliver; duplicates: Record<string, number> };

/**
 * A device that comes back is given CONNACK, then what was queued, then what is new, each message once. aedes by itself
 * restores the subscriptions first: a new message could go before CONNACK [MQTT-3.2.0-1], or before an older one from
 * the queue, or twice, from there and live. And where aedes drops what a broker numbered lower than the message before,
 * it drops messages that merely were overtaken by one that is stored faster; here the same message is dropped.
 */
export function deliverInTurn(aedes: Aedes): void {
  const turns = new WeakMap<object, Turn>();
  const { preConnect, authorizeForward } = aedes;
  aedes.preConnect = (client, packet, done) => {
    turns.set(client, new Turn(client as Inside));
    preConnect(client, packet, done);
  };
  // While a session catches up only its queue asks for this.
  aedes.authorizeForward = (client, packet) => {
    if (turns.get(client)?.queued(packet) === false) return null;
    return authorizeForward(client, packet);
  };
  aedes.on('clientReady', (client) => turns.get(client)?.begin());
}

class Turn {
  private readonly client: Inside;
  private readonly deliver0: Deliver;
  private readonly deliverQoS: Deliver;
  /** Undefined once the session has caught up. */
  private held: (() => void)[] | undefined = [];
  private readonly recent = new Set<string>();

  constructor(client: Inside) {
    this.client = client;
    this.deliver0 = client.deliver0;
    this.deliverQoS = client.deliverQoS;
    client.deliver0 = (packet, done) => this.live(this.deliver0, packet, done);
    client.deliverQoS = (packet, done) => {
      if (packet.qos === 0) client.deliver0(packet, done);
      else this.live(this.deliverQoS, packet, done);
    };
  }

  private live(deliver: Deliver, packet: AedesPublishPacket, done: Done): void {
    const { held, client } = this;
    if (held === undefined) return this.once(deliver, packet, done);
    if (held.length < MAX_HELD) held.push(() => this.once(deliver, packet, () => {}));
    else client.close();
    setImmediate(done); // the publisher does not wait for it
  }

  private once(deliver: Deliver, packet: AedesPublishPacket, done: Done): void {
    if (!this.isNew(packet)) return void setImmediate(done);
    delete this.client.duplicates[packet.brokerId];
    deliver(packet, done);
  }

  /** False when this message of the queue has been sent. */
  queued(packet: AedesPublishPacket): boolean {
    return this.held === undefined || this.isNew(packet);
  }

  private isNew({ brokerId, brokerCounter }: AedesPublishPacket): boolean {
    if (!brokerId) return true; // a retained message
    const name = `${brokerId}:${brokerCounter}`;
    if (this.recent.has(name)) return false;
    this.recent.add(name);
    if (this.recent.size > MAX_RECENT) this.recent.delete(this.recent.values().next().value as string);
    return true;
  }

  begin(): void {
    const held = this.held ?? [];
    this.held = undefined;
    for (const each of held) each();
  }
}
