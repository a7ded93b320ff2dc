import { Readable } from 'node:stream';
import type { Client } from 'aedes';

/** What an aedes persistence has for a client; a message that was sent before keeps its packet id. */
export interface Outgoing {
  outgoingStream(client: Client): AsyncIterable<{ readonly messageId?: number | null }>;
  /** Notes the packet id that a message was given, or that it has PUBREC. */
  outgoingUpdate(client: Client, packet: { readonly cmd: string }): Promise<unknown>;
}
/** What aedes has and its types do not: the packet id of the next message. */
type Numbering = Client & { _nextId: number };

const HIGHEST_ID = 0xffff;

/**
 * What a device has not acknowledged comes again under its packet id [MQTT-4.4.0-1]. aedes numbers what is new from a random
 * id on, and with bad luck gives it an id that comes again too [MQTT-2.3.1-4]: a device takes a message of QoS 2 for the one
 * that it has, and drops it. Here the numbers of one connection pass over the ids that the queue has. And a connection that is closed
 * gives none any more: another one has the session by now, and the device would get the message under both ids, twice.
 */
export function keepPacketIdsApart(outgoing: Outgoing): void {
  const { outgoingStream, outgoingUpdate } = outgoing;

  async function* readAhead(client: Numbering) {
    const queue = [];
    const taken = new Set<number>();
    for await (const packet of outgoingStream.call(outgoing, client)) {
      queue.push(packet);
      if (packet.messageId) taken.add(packet.messageId);
    }
    passOver(client, taken);
    yield* queue;
  }

  outgoing.outgoingUpdate = async (client, packet) => {
    if (client.closed && packet.cmd === 'publish') return;
    await outgoingUpdate.call(outgoing, client, packet);
  };
  outgoing.outgoingStream = (client) => Readable.from(readAhead(client as Numbering));
}

function passOver(client: Numbering, taken: ReadonlySet<number>): void {
  if (taken.size === 0 || taken.size >= HIGHEST_ID) return;
  let next = client._nextId;
  Object.defineProperty(client, '_nextId', {
    get: () => next,
    set(id: number) {
      for (next = id; taken.has(next); ) next = next >= HIGHEST_ID ? 1 : next + 1;
    },
  });
  client._nextId = next;
}
