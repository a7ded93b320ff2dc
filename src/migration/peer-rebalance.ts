import { z } from 'zod';
import type { MovesView } from '../admin/backend.ts';
import type { Others } from '../membership/other-proxies.ts';
import type { Topics } from '../membership/store/topics.ts';

/**
 * The rebalance under way, at whichever proxy it began; else the last of this proxy, if there was one.
 * @param topic its name, and the shape of what is told
 * @param local the last one that began here
 */
export function withPeerRebalance<View extends MovesView>(
  topic: { readonly name: string; readonly view: z.ZodType<View> },
  local: () => View | undefined,
  topics: Topics,
  others: Others,
): () => Promise<View | undefined> {
  const ask = topics.register(
    { name: topic.name, question: z.object({}), answer: topic.view.nullable() },
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
