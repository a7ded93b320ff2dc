import type { Aedes, Client } from 'aedes';

const TICK_MS = 100;
/** A process that did not run for so long may have lost devices to other nodes without knowing it. */
const AWAY_MS = 1_000;

/**
 * A node that was stopped or cut off, and goes on, still has in its buffers what devices had sent it; but their proxy has
 * taken them, and the same messages, elsewhere. So before it publishes anything it hears the others out, who have told
 * which devices they took over, and forgets what came from those.
 * @param caughtUp resolves when everything that the others had said before is handled
 * @returns ends the watch
 */
export function fenceAfterAbsence(aedes: Aedes, caughtUp: () => Promise<void>): () => void {
  let lastTickMs = performance.now();
  let fence: Promise<void> | undefined;

  function look(): Promise<void> | undefined {
    const nowMs = performance.now();
    if (nowMs - lastTickMs > AWAY_MS) {
      fence ??= caughtUp()
        .catch(() => {}) // without the others nobody can have been told to take anything over
        .finally(() => {
          fence = undefined;
        });
    }
    lastTickMs = nowMs;
    return fence;
  }

  const { authorizePublish } = aedes;
  aedes.authorizePublish = (client, packet, done) => {
    const isWill = client !== null && packet === (client as Client & { will: object | null }).will;
    const wait = isWill ? undefined : look();
    if (wait === undefined) return authorizePublish(client, packet, done);
    void wait.then(() => {
      if (client?.closed) done(new Error('another node has this client'));
      else authorizePublish(client, packet, done);
    });
  };

  const ticks = setInterval(look, TICK_MS);
  return () => clearInterval(ticks);
}
