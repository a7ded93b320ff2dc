import { z } from 'zod';
import type { RebalanceView } from '../admin/backend.ts';
import { named } from '../admin/schemas.ts';
import type { Others } from '../membership/other-proxies.ts';
import type { Topics } from '../membership/store/topics.ts';

/**
 * The rebalance under way, at whichever proxy it began; else the last of this proxy, if there was one.
 * @param local the last one that began here
 */
export function withPeerRebalance(
  local: () => RebalanceView | undefined,
  topics: Topics,
  others: Others,
): () => Promise<RebalanceView | undefined> {
  const ask = topics.register(
    { name: 'rebalance', question: z.object({}), answer: named.Rebalance.nullable() },
    () => local() ?? null,
  );
  return async () => {
    const own = local();
    if (own?.state === 'moving') return own;
    const { given } = await others.askAvailable(ask, {});
    const answers = [...given.values()].filter((view) => view !== null);
    return answers.find((view) => view.state === 'moving') ?? own ?? answers[0];
  };
}
