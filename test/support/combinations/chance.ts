import { randomFrom } from '../../../bench/random.ts';
import type { Random } from '../../../src/base/time.ts';

/** Choices that are the same in every run with one seed. */
export class Chance {
  private readonly random: Random;

  constructor(seed: number) {
    this.random = randomFrom(seed);
  }

  /** 0 to `below` - 1. */
  int(below: number): number {
    return Math.floor(this.random() * below);
  }

  between(least: number, most: number): number {
    return least + this.int(most - least + 1);
  }

  /** True in so many of 100 cases. */
  percent(of100: number): boolean {
    return this.random() * 100 < of100;
  }

  pick<T>(from: readonly T[]): T {
    return from[this.int(from.length)] as T;
  }

  shuffle<T>(values: readonly T[]): T[] {
    const rest = [...values];
    return values.map(() => rest.splice(this.int(rest.length), 1)[0] as T);
  }

  /** At most so many of them, in any order. */
  sample<T>(from: readonly T[], count: number): T[] {
    return this.shuffle(from).slice(0, count);
  }

  /** The part, or nothing of it. */
  maybe<T extends object>(of100: number, part: T): T | Record<string, never> {
    return this.percent(of100) ? part : {};
  }
}
