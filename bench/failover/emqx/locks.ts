import { createHash } from 'node:crypto';
import type { Peers } from './peers.ts';
import { waits } from './waits.ts';

/**
 * Who may give the lock of a client id. `measured`: every node but the one that has the session, which is what a cluster
 * of three EMQX 5.3.2 showed. `ring`: as its source has it, a majority of the nodes, chosen by the client id; where a
 * stopped node is one of them, every step waits for it, and a connect may take a minute and a half.
 */
export type LockRule = 'measured' | 'ring';

export interface LockQuestion {
  readonly kind: 'lock' | 'unlock';
  readonly clientId: string;
  readonly owner: string;
}

/** The lock that a node must have before it opens a session: one for each client id in the whole cluster. */
export class Locks {
  private readonly self: string;
  private readonly peers: Peers;
  private readonly rule: LockRule;
  private readonly members: readonly string[];
  private readonly owners = new Map<string, string>();
  private lastOwner = 0;

  constructor(self: string, members: readonly string[], peers: Peers, rule: LockRule) {
    this.self = self;
    this.members = members;
    this.peers = peers;
    this.rule = rule;
  }

  /**
   * Runs `job` under the lock; undefined when somebody else has it.
   * @param holder the node that has the session, if one has
   */
  async under<T>(
    clientId: string,
    holder: string | undefined,
    job: () => Promise<T>,
  ): Promise<T | undefined> {
    const owner = `${this.self}#${++this.lastOwner}`;
    const givers = this.giversOf(clientId, holder);
    const isMine = await this.ask(givers, { kind: 'lock', clientId, owner }, holder);
    try {
      return isMine ? await job() : undefined;
    } finally {
      const released = this.ask(givers, { kind: 'unlock', clientId, owner }, holder);
      if (this.rule === 'ring') await released;
    }
  }

  private giversOf(clientId: string, holder: string | undefined): readonly string[] {
    const nodes = this.members.filter((node) => node === this.self || this.peers.up.includes(node));
    if (this.rule === 'measured') return nodes.filter((node) => node === this.self || node !== holder);
    const first = createHash('sha1').update(clientId).digest().readUInt32BE(0);
    return Array.from(
      { length: Math.floor(nodes.length / 2) + 1 },
      (_, i) => nodes[(first + i) % nodes.length] as string,
    );
  }

  /** A giver that does not answer in time does not count. */
  private async ask(
    givers: readonly string[],
    question: LockQuestion,
    holder: string | undefined,
  ): Promise<boolean> {
    const waitMs = this.rule === 'ring' || holder !== undefined ? waits.lockMs : waits.newClientMs;
    const answers = await Promise.all(
      givers.map((node) =>
        node === this.self
          ? this.answer(question)
          : this.peers.ask<boolean>(node, question, waitMs).catch(() => true),
      ),
    );
    return answers.every(Boolean);
  }

  answer({ kind, clientId, owner }: LockQuestion): boolean {
    const present = this.owners.get(clientId);
    if (kind === 'lock') {
      if (present !== undefined && present !== owner) return false;
      this.owners.set(clientId, owner);
    } else if (present === owner) {
      this.owners.delete(clientId);
    }
    return true;
  }

  /** A node that has gone holds no lock. */
  forget(node: string): void {
    for (const [clientId, owner] of this.owners) {
      if (owner.startsWith(`${node}#`)) this.owners.delete(clientId);
    }
  }
}
