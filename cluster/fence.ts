import type { Aedes, Client } from 'aedes';
import type { Incoming } from './exactly-once.ts';

const TICK_MS = 100;
/** A process that did not run for so long may have lost devices to other nodes without knowing it. */
const AWAY_MS = 1_000;

type Done = (error?: Error) => void;
type WithWill = Client & { readonly will?: object | null };

/** How aedes itself publishes; its types know no client. */
interface Inside {
  publish(packet: object, client: WithWill | null, done: Done): void;
}

/**
 * A node that was stopped, and goes on, still has in its hands what devices had sent it; but their proxy has
 * taken them, and the same messages, elsewhere. So before it stores or publishes anything it hears the others out, who
 * have told which devices they took over, and forgets what came from those. To be called before all else that changes
 * how messages are published, so that nothing waits between this and the publication.
 * @param caughtUp resolves when everything that the others had said before is handled
 * @returns ends the watch
 */
export function fenceAfterAbsence(
  aedes: Aedes,
  incoming: Pick<Incoming, 'incomingStorePacket'>,
  caughtUp: () => Promise<void>,
): () => void {
  let lastTickMs = performance.now();
  let fence: Promise<void> | undefined;

  function look(): Promise<void> | undefined {
    const nowMs = performance.now();
    if (nowMs - lastTickMs > AWAY_MS) {
      const heard: Promise<void> = caughtUp()
        .catch(() => {}) // without the others nobody can have been told to take anything over
        .finally(() => {
          if (fence === heard) fence = undefined;
        });
      fence = heard;
    }
    lastTickMs = nowMs;
    return fence;
  }

  function pass(client: WithWill | null, packet: object, go: () => void, refuse: Done): void {
    const wait = isFromDevice(client, packet) ? look() : undefined;
    if (wait === undefined) return go();
    void wait.then(() => {
      if (client?.closed) refuse(new Error('another node has this client'));
      else pass(client, packet, go, refuse); // it may have been away once more
    });
  }

  // Each step that it may have been stopped before: a message is read, one of QoS 2 stored, and published. What is read
  // while the fence stands waits for it there, or its next step would come when the fence is gone.
  const { authorizePublish } = aedes;
  aedes.authorizePublish = (client, packet, done) =>
    pass(client, packet, () => authorizePublish(client, packet, done), done);

  const store = incoming.incomingStorePacket.bind(incoming);
  incoming.incomingStorePacket = (client, packet) =>
    new Promise<void>((resolve, reject) => pass(client, packet, resolve, reject)).then(() =>
      store(client, packet),
    );

  const inside = aedes as unknown as Inside;
  const publish = inside.publish.bind(aedes);
  inside.publish = (packet, client, done) => pass(client, packet, () => publish(packet, client, done), done);

  const ticks = setInterval(look, TICK_MS);
  return () => clearInterval(ticks);
}

/** Not a Will, which may well be that of a client that has gone, nor news of the node itself. */
function isFromDevice(client: WithWill | null, packet: object): boolean {
  return typeof client === 'object' && client !== null && packet !== client.will;
}
