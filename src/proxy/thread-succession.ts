import type { Log } from '../base/log.ts';
import type { Settle } from '../data-plane/survivors.ts';
import type { HandedDevice } from '../data-plane-api/hand-over-messages.ts';
import type { Accepted } from '../data-plane-api/messages.ts';
import type { TableWriter } from '../data-plane-api/routing-table.ts';
import type { ClientKey } from '../membership/store/store.ts';
import type { Owners } from './owners.ts';

/** What the main thread keeps of the devices of a data thread, when that dies and another goes on with some of them. */

interface SuccessionParts {
  readonly table: Pick<TableWriter, 'releaseThread'>;
  readonly owners: Pick<Owners, 'forget' | 'owned'>;
  readonly claims: {
    forget(thread: number, survivors: readonly ClientKey[]): void;
    departed(client: ClientKey): void;
    wentOver(client: ClientKey, from: number, to: number): void;
  };
  readonly log: Pick<Log, 'info'>;
}

/**
 * A data thread has died: what is known of its devices is forgotten, but of the survivors, which are told of by what this returns.
 * They stay counted until then: a node that they are at is not empty.
 */
export function succeed(
  dead: number,
  survivors: readonly HandedDevice[],
  { table, owners, claims, log }: SuccessionParts,
): Settle {
  const giveBack = table.releaseThread(dead);
  owners.forget(dead);
  claims.forget(dead, acceptances(survivors));
  const all = survivors.length;
  let [goneOn, ended] = [0, 0];
  if (all === 0) giveBack(1);
  return (devices, thread) => {
    if (thread === undefined) ended += devices.length;
    else goneOn += devices.length;
    giveBack((goneOn + ended) / all);
    for (const accepted of acceptances(devices)) {
      if (thread === undefined) claims.departed(accepted);
      else {
        claims.wentOver(accepted, dead, thread);
        owners.owned(thread, accepted);
      }
    }
    if (goneOn + ended === all)
      log.info({ thread: dead, devices: goneOn, ended }, 'devices of the dead data thread go on');
  };
}

function acceptances(devices: readonly HandedDevice[]): readonly Accepted[] {
  return devices.flatMap(({ accepted }) => accepted ?? []);
}
