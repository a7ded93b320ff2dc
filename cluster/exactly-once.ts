import type { Aedes, AedesPublishPacket, Client } from 'aedes';

/** The two methods of an aedes persistence that keep a client's QoS 2 messages until PUBREL. */
export interface Incoming {
  incomingStorePacket(client: Client, packet: AedesPublishPacket): Promise<void>;
  incomingGetPacket(client: Client, packet: AedesPublishPacket): Promise<AedesPublishPacket>;
}

/**
 * aedes stores a QoS 2 message, then publishes it, and takes one that is stored for one that is published: a message
 * whose broker is killed in between is lost when the device sends it again, to any broker. Here it is stored with the
 * name under which it is published, and once more as `pubrec` when that is done; one that comes again before is
 * published again under the same name, by which `deliverInTurn` knows it.
 */
export function publishExactlyOnce(aedes: Aedes, incoming: Incoming): void {
  const publish = aedes.publish.bind(aedes) as (...args: unknown[]) => void;
  const { incomingGetPacket, incomingStorePacket } = incoming;
  const numbered = aedes as unknown as { counter: number };
  const unpublished = new WeakSet<object>();

  incoming.incomingGetPacket = async (client, packet) => {
    const stored = await incomingGetPacket.call(incoming, client, packet);
    if ((packet.cmd as string) !== 'publish' || (stored.cmd as string) === 'pubrec') return stored;
    packet.brokerId = stored.brokerId;
    packet.brokerCounter = stored.brokerCounter;
    throw new Error('stored, but perhaps not published');
  };

  incoming.incomingStorePacket = (client, packet) => {
    packet.brokerId ??= aedes.id;
    packet.brokerCounter ??= ++numbered.counter;
    unpublished.add(packet);
    return incomingStorePacket.call(incoming, client, packet);
  };

  aedes.publish = (packet: object, ...rest: unknown[]) => {
    if (!unpublished.delete(packet)) return publish(packet, ...rest);
    const [client, done] = rest as [Client, (error?: Error) => void];
    publish(packet, client, (error?: Error) => {
      if (error != null) return done(error);
      const published = { ...packet, cmd: 'pubrec' } as unknown as AedesPublishPacket;
      incomingStorePacket.call(incoming, client, published).then(() => done(), done);
    });
  };
}
