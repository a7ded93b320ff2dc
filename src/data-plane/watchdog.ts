import { AT, BEAT, BEGAN, LONGEST } from '../engine/pulse.ts';

/** A thread that gives no sign of life for so long does not answer. It gives several a second. */
const SILENT_MS = 1000;
/**
 * One that is silent at so many looks in a row, half a minute, does not come back: its devices would wait for ever. Looks are counted, and
 * not time: a machine that was asleep has threads that were silent for hours, and are none the worse.
 */
const LOST_LOOKS = 60;
/**
 * A look that comes so late shows that the main thread itself was held up. It says nothing about the workers, which
 * may have been held up too.
 */
const LATE_MS = 1500;
/** The longest turn is that of the last one to two of these. */
const WINDOW_MS = 30_000;

interface WatchdogParts {
  /** What each thread writes (`engine/pulse.ts`), by its number. */
  readonly pulses: readonly Float64Array[];
  /** Milliseconds, the same for all threads. */
  readonly now: () => number;
  /** `connection`: the number of the connection that the worker is busy with; 0 where it has none yet. */
  readonly silent: (thread: number, connection: number, silentMs: number) => void;
  readonly answers: (thread: number, silentMs: number) => void;
  /** It does not come back. */
  readonly lost: (thread: number, silentMs: number) => void;
}

interface Silence {
  /** The last sign of life. */
  readonly sinceMs: number;
  looks: number;
}

/** Finds workers that are stuck, and measures how long their turns take. */
export class Watchdog {
  private readonly parts: WatchdogParts;
  private lookedAtMs: number;
  /** Of those that do not answer. */
  private readonly silences = new Map<number, Silence>();
  /** The longest turns of the windows before and now, by thread, in milliseconds. */
  private longest: { readonly before: number[]; readonly now: number[] } = { before: [], now: [] };
  private windowEndsMs: number;

  constructor(parts: WatchdogParts) {
    this.parts = parts;
    this.lookedAtMs = parts.now();
    this.windowEndsMs = this.lookedAtMs + WINDOW_MS;
  }

  /** Call it about twice a second. */
  look(): void {
    const nowMs = this.parts.now();
    const wasAway = nowMs - this.lookedAtMs > LATE_MS;
    this.lookedAtMs = nowMs;
    if (nowMs >= this.windowEndsMs) {
      this.windowEndsMs = nowMs + WINDOW_MS;
      this.longest = { before: this.longest.now, now: [] };
    }
    for (const [thread, pulse] of this.parts.pulses.entries()) {
      this.longest.now[thread] = Math.max(this.longest.now[thread] ?? 0, pulse[LONGEST] as number);
      pulse[LONGEST] = 0;
      if (!wasAway) this.judge(thread, pulse, nowMs);
    }
  }

  private judge(thread: number, pulse: Float64Array, nowMs: number): void {
    const beatMs = pulse[BEAT] as number;
    const silence = this.silences.get(thread);
    if (beatMs === 0 || nowMs - beatMs < SILENT_MS) {
      if (silence === undefined) return;
      this.silences.delete(thread);
      if (beatMs !== 0) this.parts.answers(thread, beatMs - silence.sinceMs);
    } else if (silence === undefined) {
      this.silences.set(thread, { sinceMs: beatMs, looks: 1 });
      this.parts.silent(thread, pulse[AT] as number, nowMs - beatMs);
    } else if (++silence.looks === LOST_LOOKS) this.parts.lost(thread, nowMs - beatMs);
  }

  /** The workers that do not answer. */
  get silentThreads(): readonly number[] {
    return [...this.silences.keys()].sort((a, b) => a - b);
  }

  /** The longest turn of each thread within the last minute, in seconds; one that is under way counts. */
  longestTurns(): readonly { readonly thread: number; readonly seconds: number }[] {
    const nowMs = this.parts.now();
    return this.parts.pulses.flatMap((pulse, thread) => {
      if (pulse[BEAT] === 0) return []; // it does not run
      const began = pulse[BEGAN] as number;
      const { before, now } = this.longest;
      const running = began === 0 ? 0 : nowMs - began;
      const ms = Math.max(before[thread] ?? 0, now[thread] ?? 0, pulse[LONGEST] as number, running);
      return [{ thread, seconds: ms / 1000 }];
    });
  }
}
