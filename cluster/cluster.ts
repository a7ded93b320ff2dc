import type { MQEmitter } from 'mqemitter';

/**
 * What makes several broker nodes one cluster: messages published at one reach subscribers at the others, and
 * sessions, retained messages and wills are shared. `inMemoryCluster` and `redisCluster` are the two ways.
 */
export interface Cluster {
  /** Gives one broker node its ends of what is shared. */
  join(): Promise<Membership>;
}

export interface Membership {
  readonly mq: MQEmitter;
  /** An aedes persistence, fit for `new Aedes({ persistence })`. */
  readonly persistence: object;
  /** Resolves when everything that the other nodes had said before is handled. */
  caughtUp(): Promise<void>;
  /** After the broker has closed: gives back connections that this node held for itself. */
  leave(): Promise<void>;
}
