import { z } from 'zod';
import { BreakwaterError } from '../base/errors.ts';
import { didYouMean } from '../base/similar.ts';
import type { Topics } from '../membership/store/topics.ts';
import { MAX_CONNECTIONS_MAX } from '../nodes/node.ts';
import type { DepartureProgress } from './departure.ts';
import type { DrainOrder, ProxyDepartures, ShareOrder } from './proxy-departures.ts';

/** Departures of this proxy and of all others: whichever is asked, the one that is meant carries it out. */

const count = z.int().min(0).max(MAX_CONNECTIONS_MAX);
const rate = z.number().min(0).max(1_000_000);
const seconds = z.number().min(0).max(86_400);
const kind = z.enum(['drain', 'rebalance']);
const progressShape = z.object({
  state: z.enum(['waiting', 'moving', 'blocked', 'done']),
  moved: z.int().min(0),
  left: count,
  rate,
  pace: rate,
}) satisfies z.ZodType<DepartureProgress>;
const drainShape = z.object({
  rate: rate.optional(),
  within: seconds.optional(),
  delay: seconds,
}) satisfies z.ZodType<DrainOrder>;
const shareShape = z.object({ count, rate }) satisfies z.ZodType<ShareOrder>;
const done = z.literal(true);

interface PeerDeparturesParts {
  readonly self: string;
  readonly local: Pick<ProxyDepartures, 'drain' | 'enable' | 'share' | 'progress'>;
  readonly topics: Pick<Topics, 'register'>;
  /** Ids of all that live. */
  readonly proxies: () => readonly string[];
}

export function withPeerDepartures({ self, local, topics, proxies }: PeerDeparturesParts) {
  /** The question, for this proxy and for another one. */
  function ofOne<Q, A>(
    name: string,
    question: z.ZodType<Q>,
    answer: z.ZodType<A>,
    answered: (question: Q) => A,
  ): (proxy: string, question: Q) => Promise<A> {
    const ask = topics.register({ name, question, answer }, answered);
    return async (proxy, asked) => {
      if (proxy === self) return answered(asked);
      const known = proxies();
      if (!known.includes(proxy)) throw unknown(proxy, [self, ...known]);
      const given = (await ask(asked, proxy)).given.get(proxy);
      if (given !== undefined) return given;
      const help = 'try again, or ask its own admin API';
      throw new BreakwaterError('PROXY_SILENT', `proxy ${proxy} lives and does not answer; ${help}`);
    };
  }

  return {
    drain: ofOne('proxy-drain', drainShape, done, (order) => {
      local.drain(order);
      return true as const;
    }),
    enable: ofOne('proxy-enable', z.object({}), done, () => {
      local.enable();
      return true as const;
    }),
    share: ofOne('proxy-share', shareShape, done, (order) => {
      local.share(order);
      return true as const;
    }),
    /** Null where nothing of that kind is under way, or was last. */
    progress: ofOne(
      'proxy-departure',
      z.object({ kind }),
      progressShape.nullable(),
      (asked) => local.progress(asked.kind) ?? null,
    ),
  };
}

export type PeerDepartures = ReturnType<typeof withPeerDepartures>;

function unknown(proxy: string, known: readonly string[]): BreakwaterError {
  const ids = [...new Set(known)].sort();
  const hint = didYouMean(proxy, ids);
  return new BreakwaterError(
    'PROXY_UNKNOWN',
    `no proxy "${proxy.slice(0, 64)}" lives${hint}; there are ${ids.join(', ')}`,
  );
}
