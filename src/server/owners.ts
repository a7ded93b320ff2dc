/**
 * Session mode, several threads: which thread has each client id. The newest connection wins; the thread of the older
 * one is told, so that it does not fight for the session when the node closes its link (rule 14).
 */
export function createOwners(supersede: (thread: number, clientId: string) => void) {
  const owners = new Map<string, number>();
  return {
    owned(thread: number, clientId: string): void {
      const before = owners.get(clientId);
      owners.set(clientId, thread);
      if (before !== undefined && before !== thread) supersede(before, clientId);
    },
    disowned(thread: number, clientId: string): void {
      if (owners.get(clientId) === thread) owners.delete(clientId);
    },
    /** A thread has died, and its connections with it. */
    forget(thread: number): void {
      for (const [clientId, owner] of owners) if (owner === thread) owners.delete(clientId);
    },
  };
}

export type Owners = ReturnType<typeof createOwners>;
