import type { Kind } from './records.ts';

/** Records that are believed however old they are, but not when a newer one was seen before. */
const lasting: readonly Kind[] = ['node', 'decision', 'ban', 'shared', 'session'];
/** The clocks of proxies may differ by so much. A text that is older, or from further ahead, is not believed. */
const MESSAGE_WINDOW_MS = 60_000;
/** A heartbeat lies in the store until the lease has run out. */
const BEAT_WINDOW_MS = 300_000;
/** Questions that are remembered, so that none is answered twice; more than are answered in that time. */
const QUESTIONS_MAX = 32_768;
/** Records of which it is known how new the newest was; sessions, of which there are many, apart from all others. */
const RECORDS_MAX = 16_384;
const SESSIONS_MAX = 131_072;

/**
 * Detects signed texts that are old and were written again by somebody who has read them. Messages and heartbeats
 * are believed for a time only, questions once. A record is not believed when a newer one of the same name was seen
 * before, and what is remembered of a session is believed once.
 */
export function createFreshness(now: () => number) {
  const answered = new Map<string, number>();
  const records = new Map<string, number>();
  const sessions = new Map<string, number>();
  /** A place begins with the kind of what is there. */
  const newestAt = (place: string) => (place.startsWith('session\0') ? sessions : records).get(place) ?? 0;

  function remember<T>(map: Map<string, T>, key: string, value: T, most: number): void {
    map.delete(key);
    map.set(key, value);
    for (const oldest of map.keys()) if (map.size > most) map.delete(oldest);
  }

  return {
    /** When what is written at this place is to say that it was written, in ms since 1970: later than what was there. */
    stamp(place: string): number {
      return Math.max(now(), newestAt(place) + 1);
    },
    /** Why it is not believed; undefined where it is. @param text with its signature */
    problem(kind: Kind, place: string, at: number, text: string): string | undefined {
      const ageMs = now() - at;
      if (lasting.includes(kind)) {
        const seen = newestAt(place);
        if (at < seen) return 'it is older than one that was there before';
        if (kind === 'session' && at === seen) return 'it was taken before';
        if (kind === 'session') remember(sessions, place, at, SESSIONS_MAX);
        else remember(records, place, at, RECORDS_MAX);
        return undefined;
      }
      const windowMs = kind === 'proxy' ? BEAT_WINDOW_MS : MESSAGE_WINDOW_MS;
      if (Math.abs(ageMs) > windowMs)
        return `by this clock it is ${Math.round(ageMs / 1000)} s old; set the clocks of all proxies by NTP`;
      if (kind !== 'question') return undefined;
      if (answered.has(text)) return 'it was asked before';
      remember(answered, text, at, QUESTIONS_MAX);
      return undefined;
    },
  };
}
