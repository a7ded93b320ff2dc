/** What people do to bans at run time: add, list and remove them, for all proxies of the cluster. */

import type { Backend, BanCriterion, BanRequest, BanView } from '../admin/backend.ts';
import { BreakwaterError } from '../base/errors.ts';
import type { Clock } from '../base/time.ts';
import type { BreakwaterEvent } from '../journal/event.ts';
import type { MembershipStore } from '../membership/store/store.ts';
import { type Ban, banId, banKinds, isOver } from '../policy/admission/bans.ts';

interface BanParts {
  readonly store: Pick<MembershipStore, 'ban' | 'unban'>;
  /** As the store told last, by id. */
  readonly bans: () => ReadonlyMap<string, Ban>;
  /** The time of day, in milliseconds since 1970. */
  readonly clock: Clock;
  readonly events: { emit(event: BreakwaterEvent): void };
}

/** A change goes to the store and comes back as its snapshot. */
export function createBans({
  store,
  bans,
  clock,
  events,
}: BanParts): Pick<Backend, 'bans' | 'ban' | 'unban'> {
  return {
    bans: () =>
      [...bans().values()]
        .filter((ban) => !isOver(ban, clock.now()))
        .toSorted((a, b) => b.createdAt.localeCompare(a.createdAt))
        .map(viewOf),

    async ban(request) {
      const ban = banOf(request, clock.now());
      await store.ban(ban);
      const { id, createdAt: at, ...view } = viewOf(ban);
      events.emit({ type: 'banned', at, ban: id, ...view });
      return viewOf(ban);
    },

    async unban(id) {
      const ban = bans().get(id); // another proxy may have made it just now
      if (!(await store.unban(id))) {
        throw new BreakwaterError('BAN_UNKNOWN', `no ban ${JSON.stringify(id)}; \`ban list\` has them`);
      }
      const at = new Date(clock.now()).toISOString();
      events.emit({ type: 'unbanned', at, ban: id, ...(ban && criterionOf(ban)) });
    },
  };
}

/** @param request with exactly one criterion */
function banOf({ expires, reason, kick = false, ...criterion }: BanRequest, now: number): Ban {
  const kind = banKinds.find((each) => criterion[each] !== undefined) ?? 'clientId';
  const value = criterion[kind] ?? '';
  return {
    ...{ id: banId(kind, value), kind, value, kick, createdAt: new Date(now).toISOString() },
    ...(reason !== undefined && { reason }),
    ...(expires !== undefined && { expiresAt: new Date(now + expires * 1000).toISOString() }),
  };
}

function viewOf(ban: Ban): BanView {
  const { kind: _, value: _value, ...view } = ban;
  return { ...view, ...criterionOf(ban) };
}

function criterionOf({ kind, value }: Pick<Ban, 'kind' | 'value'>): BanCriterion {
  return { [kind]: value };
}
