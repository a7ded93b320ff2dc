import { setTimeout as sleep } from 'node:timers/promises';
import type { Backend, ClientDetail, MovesView, NodeView, RebalanceView } from '../admin/backend.ts';
import { BreakwaterError } from '../base/errors.ts';
import type { NodeAdmin } from '../membership/node-admin.ts';
import type { Node } from '../nodes/node.ts';
import type { NodeTable } from '../nodes/table.ts';
import type { FoundClients } from './found-clients.ts';
import type { MoverProgress } from './mover.ts';
import type { PeerClients } from './peer-clients.ts';
import type { PeerMoves } from './peer-moves.ts';
import type { Rebalancer } from './rebalancer.ts';
import { whomOf } from './whom.ts';

/** How long `client move` waits for the device to be where it should. */
const MOVE_TIMEOUT_MS = 5_000;
const MOVE_LOOK_MS = 50;

interface MovesParts {
  readonly nodes: NodeTable;
  readonly nodeAdmin: Pick<NodeAdmin, 'change'>;
  readonly peerClients: Pick<PeerClients, 'move'>;
  readonly peerMoves: Pick<PeerMoves, 'setDrainRate' | 'drainProgress'>;
  readonly rebalancer: Pick<Rebalancer, 'start'>;
  /** The rebalance under way, at whichever proxy. */
  readonly rebalance: () => Promise<RebalanceView | undefined>;
  readonly clients: Pick<FoundClients, 'find'>;
  /** Is this node, which is no longer in the table, being left here? */
  readonly isLeft: (nodeId: string) => boolean;
  readonly viewOf: (node: Node) => NodeView;
}

type Moves = Pick<Backend, 'drainNode' | 'drainProgress' | 'moveClient' | 'rebalance' | 'rebalanceProgress'>;

/** What people ask of sessions that are to go elsewhere. */
export function createMoves(parts: MovesParts): Moves {
  const { nodes, nodeAdmin, peerClients, peerMoves, rebalancer, clients, viewOf } = parts;

  /** @throws BreakwaterError CLIENT_IMMOVABLE, NODE_UNKNOWN, MOVE_REFUSED */
  function checkMove({ clientId, node: from, mode, session }: ClientDetail, to: string): void {
    const device = `device ${JSON.stringify(clientId.slice(0, 64))}`;
    const stays = mode === 'relay' ? whyStays.relay : whyStays[session?.immovable ?? ''];
    const target = nodes.get(to);
    if (stays !== undefined) {
      throw new BreakwaterError('CLIENT_IMMOVABLE', `${device} stays at ${from}: ${stays}`);
    }
    const { pool } = target;
    const isStrange = nodes.has(from) && nodes.get(from).pool !== pool;
    const why = isStrange ? `is of another pool, ${pool}` : whyItTakesNone(target);
    if (why !== undefined)
      throw new BreakwaterError('MOVE_REFUSED', `${device} stays at ${from}: node ${to} ${why}`);
  }

  /** The newest of those that this node could take: two pools may have devices of one client id. */
  async function candidate(asked: string, to: string): Promise<ClientDetail> {
    const all = await clients.find(whomOf(asked));
    const { pool } = nodes.get(to);
    return all.find(({ node }) => !nodes.has(node) || nodes.get(node).pool === pool) ?? all[0];
  }

  /** Whoever stands still is not seen, and is ordered to move all the same: as far as its pool and its session let it. */
  async function orderUnseen(asked: string, to: string): Promise<void> {
    const whom = whomOf(asked);
    const isAnyProxys = 'connection' in whom && whom.proxy === undefined; // each proxy has numbers of its own
    if (isAnyProxys || !nodes.has(to) || whyItTakesNone(nodes.get(to)) !== undefined) return;
    await peerClients.move(whom, to).catch(() => undefined); // why it is not seen is said already
  }

  async function moveClient(asked: string, to: string): Promise<ClientDetail> {
    const before = await candidate(asked, to).catch(async (error: unknown) => {
      if (error instanceof BreakwaterError && error.retryable) await orderUnseen(asked, to);
      throw error;
    });
    checkMove(before, to);
    if (before.node === to) return before;
    const whom = { connection: before.connection, proxy: before.proxy };
    const tally = await peerClients.move(whom, to);
    if (tally.moving === 0) throw notMoved(before, to, tally.later > 0 ? whyLater : 'it does not take it');
    const endsAt = Date.now() + MOVE_TIMEOUT_MS;
    for (;;) {
      const [now] = await clients.find(whom);
      if (now.node === to && now.reattachments > before.reattachments) return now;
      if (hasFailedSince(before, now)) throw notMoved(before, to, 'it does not take it');
      if (Date.now() > endsAt)
        throw notMoved(before, to, `it has not taken it in ${MOVE_TIMEOUT_MS / 1000} s`);
      await sleep(MOVE_LOOK_MS);
    }
  }

  return {
    moveClient,
    async drainNode(id, { rate }) {
      nodes.get(id);
      if (rate !== undefined) await peerMoves.setDrainRate(id, rate);
      return viewOf(await nodeAdmin.change(id, { state: 'draining' }));
    },
    async drainProgress(id) {
      const isOff = !parts.isLeft(id) && nodes.get(id).state !== 'draining';
      const progress = await peerMoves.drainProgress(id);
      const movable = progress.left - progress.stays;
      const view = movesView(progress, movable);
      return { ...view, state: isOff ? 'off' : view.state, node: id, stays: progress.stays };
    },
    rebalance: async (request) => rebalancer.start(request),
    async rebalanceProgress() {
      const none = { state: 'off', moved: 0, failed: 0, left: 0, rate: 0, pace: 0, spread: 0 } as const;
      return (await parts.rebalance()) ?? { ...none, pools: [], tolerance: 0 };
    },
  };
}

function whyItTakesNone({ state, health }: Node): string | undefined {
  if (state !== 'enabled') return `is ${state}; enable it first`;
  return health === 'unhealthy' ? 'is unhealthy' : undefined;
}

/** Times are reckoned back from how long ago it was, so the same one may differ by a little. */
function hasFailedSince(before: ClientDetail, now: ClientDetail): boolean {
  const last = now.session?.history.at(-1);
  const earlier = before.session?.history.at(-1);
  if (last === undefined || last.to !== undefined) return false;
  return earlier === undefined || Date.parse(last.at) - Date.parse(earlier.at) > 20;
}

const whyLater = 'the device is in the middle of a large message, or of another move; try again';

const whyStays: Readonly<Record<string, string | undefined>> = {
  relay: 'it is carried in relay mode, which follows no session',
  superseded: 'a newer connection of the device has its client id',
  'enhanced-auth': 'it logged in by enhanced authentication, which cannot be done again without it',
  'too-much-state': 'it has more subscriptions than are kept (limits.sessionState)',
  'not-understood':
    'it sent a packet that is not as MQTT has it, and what the broker made of it is not known',
};

function notMoved({ clientId, node }: ClientDetail, to: string, why: string): BreakwaterError {
  const device = `device ${JSON.stringify(clientId.slice(0, 64))}`;
  return new BreakwaterError('MOVE_REFUSED', `${device} is not moved from ${node} to ${to}: ${why}`);
}

function movesView({ state, moved, failed, left, rate, pace }: MoverProgress, movable: number): MovesView {
  const timeLeft = pace > 0 ? Math.max(0, movable) / pace : undefined;
  return { state, moved, failed, left, rate, pace, timeLeft };
}
