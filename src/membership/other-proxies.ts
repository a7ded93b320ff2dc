import type { Ask, PeerAnswers } from './store/topics.ts';

/** How the other proxies are asked while the store may be away. */
export interface Others {
  /** While the store is away this proxy answers alone, and the others count as missing. */
  askAvailable<Q, A>(ask: Ask<Q, A>, question: Q): Promise<PeerAnswers<A>>;
  /** Likewise; but a device that is not here may well be elsewhere. @throws BreakwaterError STORE_UNAVAILABLE */
  askAbsent<Q, A>(ask: Ask<Q, A>, question: Q, isHere: boolean): Promise<PeerAnswers<A>>;
}

/** @param others ids of those that live, as far as it is known */
export function createOthers(others: () => readonly string[]): Others {
  const silent = <A>(): PeerAnswers<A> => ({ given: new Map(), missing: others() });
  return {
    askAvailable: (ask, question) => ask(question).catch(() => silent()),
    async askAbsent(ask, question, isHere) {
      try {
        return await ask(question);
      } catch (error) {
        if (isHere) return silent();
        throw error;
      }
    },
  };
}
