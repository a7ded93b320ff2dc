import type { ClientDetail, ClientList, ClientQuery, RebalanceView } from '../admin/backend.ts';
import type { MoverProgress } from '../control/mover.ts';
import type { PlannedMove } from '../control/rebalance.ts';
import type { MoveTally } from '../data-plane/messages.ts';
import { addTallies } from '../data-plane/move-tally.ts';
import type { CountsByNode, MembershipStore } from '../membership/store.ts';

/** The longest that other proxies are waited for. */
const ASK_TIMEOUT_MS = 1_000;

/** What one proxy asks the others, so that what is said to one holds for all. */
export type Question =
  | { readonly type: 'clients'; readonly query: ClientQuery }
  | { readonly type: 'client'; readonly clientId: string }
  | { readonly type: 'kick'; readonly clientId: string }
  | { readonly type: 'move'; readonly clientId: string; readonly node: string }
  | { readonly type: 'drain-rate'; readonly node: string; readonly rate: number }
  | { readonly type: 'drain-progress'; readonly node: string }
  | { readonly type: 'load' }
  | { readonly type: 'carry-out'; readonly moves: MovesByProxy; readonly rate: number }
  | { readonly type: 'carried' }
  | { readonly type: 'rebalance' };

/** What each proxy is to move, by its id. No object: an id may be a word such as `constructor`. */
export type MovesByProxy = readonly (readonly [proxy: string, moves: readonly PlannedMove[]])[];

/** One proxy's connections by node id. */
export interface Load {
  readonly proxy: string;
  readonly live: CountsByNode;
}

/** What this proxy knows and can do by itself. */
export interface Local {
  clients(query: ClientQuery): Promise<ClientList>;
  /** Every connection of one client id here. */
  client(clientId: string): Promise<readonly ClientDetail[]>;
  /** How many connections were ended. */
  kick(clientId: string): Promise<number>;
  /** Moves one device to this node. */
  move(clientId: string, node: string): Promise<MoveTally>;
  setDrainRate(node: string, rate: number): void;
  drainProgress(node: string): MoverProgress;
  load(): Load;
  carryOut(moves: MovesByProxy, rate: number): void;
  carried(): MoverProgress;
  /** The last rebalance that began here. */
  rebalance(): RebalanceView | undefined;
}

export interface PeersOptions {
  readonly store: Pick<MembershipStore, 'ask'>;
  /** How many proxies live, this one included. */
  readonly proxies: () => number;
}

/** Lays the other proxies' devices over this proxy's own: the same questions, answered by all together. */
export function withPeers(local: Local, { store, proxies }: PeersOptions) {
  const ask = async <T>(question: Question): Promise<readonly T[]> =>
    (await store.ask(question, ASK_TIMEOUT_MS)) as readonly T[];

  /** A store that is away leaves this proxy to answer alone. */
  const askAvailable = <T>(question: Question): Promise<readonly T[]> => ask<T>(question).catch(() => []);

  /** Likewise; but a device that is not here may well be elsewhere. */
  async function askAbsent<T>(question: Question, isHere: boolean): Promise<readonly T[]> {
    try {
      return await ask<T>(question);
    } catch (error) {
      if (isHere) return [];
      throw error;
    }
  }

  /** One that lives and does not answer may have something left. */
  function sum(answers: readonly MoverProgress[]): MoverProgress {
    const total = sumProgress(answers);
    return total.state === 'done' && answers.length < proxies() ? { ...total, state: 'moving' } : total;
  }

  return {
    /** While the store is away, this proxy's own: a list that is short is better than none. */
    async clients(query: ClientQuery): Promise<ClientList> {
      const [own, others] = await Promise.all([
        local.clients(query),
        askAvailable<ClientList>({ type: 'clients', query }),
      ]);
      const lists = [own, ...others];
      return {
        clients: lists.flatMap((list) => list.clients).slice(0, query.limit),
        total: lists.reduce((total, list) => total + list.total, 0),
      };
    },
    /** @throws BreakwaterError STORE_UNAVAILABLE where it is not here, and others cannot be asked */
    async client(clientId: string): Promise<readonly ClientDetail[]> {
      const own = await local.client(clientId);
      const question = { type: 'client', clientId } as const;
      const others = await askAbsent<readonly ClientDetail[]>(question, own.length > 0);
      return [...own, ...others.flat()];
    },
    /** @throws BreakwaterError STORE_UNAVAILABLE likewise */
    async kick(clientId: string): Promise<number> {
      const own = await local.kick(clientId);
      const others = await askAbsent<number>({ type: 'kick', clientId }, own > 0);
      return others.reduce((total, count) => total + count, own);
    },
    async move(clientId: string, node: string): Promise<MoveTally> {
      const own = await local.move(clientId, node);
      const others = await askAbsent<MoveTally>({ type: 'move', clientId, node }, own.moving > 0);
      return addTallies([own, ...others]);
    },
    /** `rate` is of all proxies together; each takes its part. */
    async setDrainRate(node: string, rate: number): Promise<void> {
      local.setDrainRate(node, rate);
      await askAvailable({ type: 'drain-rate', node, rate });
    },
    async drainProgress(node: string): Promise<MoverProgress> {
      const others = await askAvailable<MoverProgress>({ type: 'drain-progress', node });
      return sum([local.drainProgress(node), ...others]);
    },
    async loads(): Promise<readonly Load[]> {
      const others = await askAvailable<Load>({ type: 'load' });
      return [local.load(), ...others];
    },
    /** `rate` is each proxy's. */
    async carryOut(moves: MovesByProxy, rate: number): Promise<void> {
      local.carryOut(moves, rate);
      await askAvailable({ type: 'carry-out', moves, rate });
    },
    async carried(): Promise<MoverProgress> {
      const others = await askAvailable<MoverProgress>({ type: 'carried' });
      return sum([local.carried(), ...others]);
    },
    /** The one under way, at whichever proxy it began; else the last of this proxy, if there was one. */
    async rebalance(): Promise<RebalanceView | undefined> {
      const own = local.rebalance();
      if (own?.state === 'moving') return own;
      const others = await askAvailable<RebalanceView>({ type: 'rebalance' });
      return (
        others.find((other) => other?.state === 'moving') ?? own ?? others.find((other) => other !== null)
      );
    },
    /** Answers another proxy. Questions of a newer version are not understood, and not answered. */
    answer(question: unknown): Promise<unknown> {
      return answer(local, question as Question);
    },
  };
}

export type Peers = ReturnType<typeof withPeers>;

async function answer(local: Local, asked: Question): Promise<unknown> {
  switch (asked.type) {
    case 'clients':
      return local.clients(asked.query);
    case 'client':
      return local.client(asked.clientId);
    case 'kick':
      return local.kick(asked.clientId);
    case 'move':
      return local.move(asked.clientId, asked.node);
    case 'drain-rate':
      local.setDrainRate(asked.node, asked.rate);
      return true;
    case 'drain-progress':
      return local.drainProgress(asked.node);
    case 'load':
      return local.load();
    case 'carry-out':
      local.carryOut(asked.moves, asked.rate);
      return true;
    case 'carried':
      return local.carried();
    case 'rebalance':
      return local.rebalance() ?? null;
    default:
      throw new Error('unknown question');
  }
}

function sumProgress(all: readonly MoverProgress[]): MoverProgress {
  const add = (pick: (progress: MoverProgress) => number): number =>
    all.reduce((total, progress) => total + pick(progress), 0);
  const has = (state: MoverProgress['state']): boolean => all.some((progress) => progress.state === state);
  return {
    state: has('moving') ? 'moving' : has('blocked') ? 'blocked' : 'done',
    moved: add(({ moved }) => moved),
    failed: add(({ failed }) => failed),
    left: add(({ left }) => left),
    stays: add(({ stays }) => stays),
    rate: add(({ rate }) => rate),
    pace: add(({ pace }) => pace),
  };
}
