import { randomUUID } from 'node:crypto';
import type { AddressInfo, Socket } from 'node:net';
import { createServer } from 'node:net';
import { Aedes } from 'aedes';
import { BreakwaterError, messageOf } from '../src/base/errors.ts';
import type { Cluster } from './cluster.ts';
import { heedEarlyGoodbyes } from './early-goodbye.ts';
import { type Incoming, publishExactlyOnce } from './exactly-once.ts';
import { fenceAfterAbsence } from './fence.ts';
import { inMemoryCluster } from './in-memory.ts';
import { deliverInTurn } from './in-turn.ts';
import { keepPacketIdsApart, type Outgoing } from './packet-ids.ts';
import { keepWillsOnTakeover, type Wills } from './takeover.ts';

export interface BrokerOptions {
  readonly host: string;
  /** 0 lets the system choose. */
  readonly port: number;
  /** Name for people and for the node table. */
  readonly id: string;
  /** Absent: the broker stands alone. */
  readonly cluster?: Cluster;
  /** Faults that end no connection, such as a lost store. */
  readonly onError?: (error: unknown) => void;
}

export interface Broker {
  readonly id: string;
  /** `mqtt://host:port` */
  readonly url: string;
  readonly port: number;
  /** Ids of the clients that are connected to this node now. */
  clients(): string[];
  /** Closes the listener and every connection, and leaves the cluster. */
  stop(): Promise<void>;
  /** As if killed: every connection is reset first. */
  abort(): Promise<void>;
}

/**
 * One embedded broker node. It speaks MQTT 3.1 and 3.1.1; MQTT 5.0 is answered with CONNACK 0x01.
 * @throws BreakwaterError ADDRESS_IN_USE, ADDRESS_NOT_AVAILABLE, STORE_UNAVAILABLE
 */
export async function startBroker(options: BrokerOptions): Promise<Broker> {
  const membership = await (options.cluster ?? inMemoryCluster()).join();
  const aedes = new Aedes({
    // Messages are told apart by (broker id, counter) and the counter starts at 0 with every process: with an id that
    // outlives it, a restarted broker overwrites what is queued for absent devices and its news pass for old.
    id: randomUUID(),
    mq: membership.mq,
    persistence: membership.persistence,
    maxClientsIdLength: 65_535, // MQTT 3.1 allows 23, real devices send more
  });
  const incoming = membership.persistence as Incoming;
  const endFence = fenceAfterAbsence(aedes, incoming, membership.caughtUp);
  acknowledgeWhenStored(aedes);
  publishExactlyOnce(aedes, incoming);
  deliverInTurn(aedes);
  keepPacketIdsApart(membership.persistence as Outgoing);
  heedEarlyGoodbyes(aedes, membership.persistence as Wills);
  keepWillsOnTakeover(aedes, membership.mq, membership.persistence as Wills);
  aedes.addListener('error', options.onError ?? ((error) => process.emitWarning(messageOf(error))));

  const sockets = new Set<Socket>();
  const server = createServer({ noDelay: true }, (socket) => {
    sockets.add(socket);
    socket.once('close', () => sockets.delete(socket));
    aedes.handle(socket);
  });

  const stop = async () => {
    const closed = new Promise<void>((resolve) => server.close(() => resolve()));
    endFence();
    await new Promise<void>((resolve) => aedes.close(resolve));
    for (const socket of sockets) socket.destroy(); // those that never sent a CONNECT
    await closed;
    await membership.leave();
  };

  try {
    await aedes.listen();
    await new Promise<void>((resolve, reject) => {
      server.once('error', reject).listen(options.port, options.host, resolve);
    });
  } catch (error) {
    await stop();
    throw listenError(error, `mqtt://${options.host}:${options.port}`);
  }
  const { port } = server.address() as AddressInfo;
  return {
    id: options.id,
    url: `mqtt://${options.host.includes(':') ? `[${options.host}]` : options.host}:${port}`,
    port,
    clients: () => Object.keys((aedes as unknown as { clients: object }).clients),
    stop,
    abort() {
      for (const socket of sockets) socket.resetAndDestroy();
      return stop();
    },
  };
}

/**
 * aedes sends PUBACK before it stores and routes a QoS 1 message, so a node that is killed in between loses what it
 * acknowledged, and a device that comes back at once may come before its message. Here the message is published
 * first, in the step that aedes asks for permission in, and not a second time behind the PUBACK.
 */
function acknowledgeWhenStored(aedes: Aedes): void {
  const { authorizePublish } = aedes;
  const publish = aedes.publish.bind(aedes) as (...args: unknown[]) => void;
  const published = new WeakSet<object>();
  aedes.authorizePublish = (client, packet, done) =>
    authorizePublish(client, packet, (refusal) => {
      if (refusal != null || packet.qos !== 1 || client === null) return done(refusal);
      publish(packet, client, (error?: Error) => {
        published.add(packet);
        done(error);
      });
    });
  aedes.publish = (packet: object, ...rest: unknown[]) => {
    if (!published.delete(packet)) return publish(packet, ...rest);
    (rest.at(-1) as () => void)();
  };
}

function listenError(error: unknown, url: string): BreakwaterError {
  return (error as NodeJS.ErrnoException).code === 'EADDRINUSE'
    ? new BreakwaterError('ADDRESS_IN_USE', `${url} is taken; choose another address with --listen`, {
        cause: error,
      })
    : new BreakwaterError(
        'ADDRESS_NOT_AVAILABLE',
        `cannot listen on ${url}: ${messageOf(error)}; choose another address with --listen`,
        { cause: error },
      );
}
