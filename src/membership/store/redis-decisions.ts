import { BreakwaterError } from '../../base/errors.ts';
import type { Codec } from './codec.ts';
import type { SharedMembership } from './redis-membership.ts';
import { membershipScripts as scripts } from './redis-membership-scripts.ts';
import type { Script } from './redis-script.ts';
import type { Decision } from './store.ts';

/** Other proxies that decide about the same node at the same time; each makes one try fail at most. */
const TRIES_MAX = 64;

/**
 * Lays decisions over what was decided before. A record is read here, changed here, and put in the place of exactly the
 * record that was read: another proxy may have been quicker, and then it is read again. Redis itself looks into none.
 */
export function createDecisions(
  codec: Codec,
  shared: Pick<SharedMembership, 'decisionRecord' | 'decisionOf'>,
  write: (script: Script, ...args: (string | number)[]) => Promise<unknown>,
) {
  let turn: Promise<unknown> = Promise.resolve();

  /** @param change what shall be decided, given what was; undefined: nothing */
  async function swap(
    script: Script,
    nodeId: string,
    change: (before: Decision) => Decision | undefined,
  ): Promise<void> {
    let record = shared.decisionRecord(nodeId);
    for (let tries = 0; tries < TRIES_MAX; tries++) {
      const before = record === '' ? {} : (shared.decisionOf(nodeId, record) ?? {});
      const after = change(before);
      const text = after === undefined ? '' : codec.write('decision', after, nodeId);
      const reply = await write(script, nodeId, record, text);
      if (typeof reply !== 'string') return;
      record = reply;
    }
    throw new BreakwaterError(
      'STORE_CONFLICT',
      `what is decided about node ${nodeId} is changed by others all the time; try again`,
    );
  }

  /** One after the other, so that the decisions of one proxy do not disturb each other. */
  function inTurn(run: () => Promise<void>): Promise<void> {
    const mine = turn.then(run);
    turn = mine.catch(() => {});
    return mine;
  }

  return {
    decide(nodeId: string, decision: Decision): Promise<void> {
      const given = Object.entries(decision).filter(([, value]) => value !== undefined);
      return inTurn(() =>
        swap(scripts.decide, nodeId, (before) => ({ ...before, ...Object.fromEntries(given) })),
      );
    },
    /** The node has left: the decision to drain it is over. */
    leave(nodeId: string): Promise<void> {
      return inTurn(() =>
        swap(scripts.leaveNode, nodeId, ({ state, ...others }) => {
          const after = state === 'draining' ? others : { ...others, ...(state && { state }) };
          return Object.keys(after).length === 0 ? undefined : after;
        }),
      );
    },
  };
}
