import type { Clock } from '../base/time.ts';
import { newIpWords, parseIp } from '../protocol/address/ip.ts';

/** Wrong tokens that one source may send at once, and a second; a dashboard with an old token asks a few times a second. */
const BURST = 20;
const PER_SECOND = 1;
/** Sources that are remembered; beyond that the longest quiet one is forgotten. */
const MAX_SOURCES = 4_096;

interface Source {
  wrong: number;
  atMs: number;
}

/**
 * Counts wrong tokens by source, so that nobody can try a great many. A source that has tried too many gets no
 * answer for a while, also to a right token: otherwise the answer would show that it is right.
 */
export function createTokenGuesses(clock: Clock) {
  const sources = new Map<string, Source>();

  const countOf = ({ wrong, atMs }: Source): number =>
    Math.max(0, wrong - ((clock.now() - atMs) * PER_SECOND) / 1000);

  return {
    /** For so many seconds this source is not heard; 0: it is. */
    heldFor(address: string): number {
      const source = sources.get(sourceOf(address));
      const wrong = source === undefined ? 0 : countOf(source);
      return wrong <= BURST - 1 ? 0 : Math.ceil((wrong - (BURST - 1)) / PER_SECOND);
    },
    wrong(address: string): void {
      const key = sourceOf(address);
      const source = sources.get(key);
      const wrong = (source === undefined ? 0 : countOf(source)) + 1;
      sources.delete(key);
      sources.set(key, { wrong, atMs: clock.now() });
      for (const oldest of sources.keys()) if (sources.size > MAX_SOURCES) sources.delete(oldest);
    },
  };
}

/** Of IPv6 the /64, because every host may use all of one (RFC 4862, RFC 7934). */
function sourceOf(address: string): string {
  const words = newIpWords();
  return parseIp(address, words) === 6 ? `${words[0]} ${words[1]}` : address;
}
