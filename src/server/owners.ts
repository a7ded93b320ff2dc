/** Tells a thread that another one has had this client id since then. */
export type Supersede = (thread: number, clientId: string, sinceMs: number) => void;

interface Owner {
  readonly thread: number;
  /** When its connection got the client id, by a clock that all threads share. */
  readonly sinceMs: number;
}

/**
 * Session mode, several threads: which thread has each client id. The newest connection wins, whichever is heard of
 * first; the thread of the older one is told, so that it does not fight for the session when the node closes its link
 * (rule 14).
 */
export function createOwners(supersede: Supersede) {
  const owners = new Map<string, Owner>();
  return {
    owned(thread: number, clientId: string, sinceMs: number): void {
      const known = owners.get(clientId);
      if (known !== undefined && known.sinceMs > sinceMs) {
        if (known.thread !== thread) supersede(thread, clientId, known.sinceMs);
        return;
      }
      owners.set(clientId, { thread, sinceMs });
      if (known !== undefined && known.thread !== thread) supersede(known.thread, clientId, sinceMs);
    },
    disowned(thread: number, clientId: string): void {
      if (owners.get(clientId)?.thread === thread) owners.delete(clientId);
    },
    /** A thread has died, and its connections with it. */
    forget(thread: number): void {
      for (const [clientId, owner] of owners) if (owner.thread === thread) owners.delete(clientId);
    },
  };
}

export type Owners = ReturnType<typeof createOwners>;
