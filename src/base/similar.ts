/** What a person probably meant who typed a name that does not exist. */

/** Longer names are no slips of the finger, and comparing costs the square of their length. */
const MAX_LENGTH = 64;
/** A cluster has at most 1,024 nodes. */
const MAX_NAMES = 1024;

/** The nearest of `known`, as far as one letter in three is other; undefined where none is so near. */
function similar(typed: string, known: readonly string[]): string | undefined {
  if (typed.length > MAX_LENGTH) return undefined;
  const lower = typed.toLowerCase();
  let nearest: string | undefined;
  let least = Math.floor(typed.length / 3) + 1;
  for (const name of known.slice(0, MAX_NAMES)) {
    if (name.length > MAX_LENGTH || Math.abs(name.length - typed.length) >= least) continue;
    const distance = distanceOf(lower, name.toLowerCase());
    if (distance >= least) continue;
    nearest = name;
    least = distance;
  }
  return nearest;
}

/** ` (did you mean 'meters'?)`, or nothing. */
export function didYouMean(typed: string, known: readonly string[]): string {
  const meant = similar(typed, known);
  return meant === undefined ? '' : ` (did you mean '${meant}'?)`;
}

/** Letters to insert, delete, replace, or swap with their neighbour (optimal string alignment distance). */
function distanceOf(a: string, b: string): number {
  let before: number[] = [];
  let last = Array.from({ length: b.length + 1 }, (_, index) => index);
  for (let i = 1; i <= a.length; i++) {
    const row = [i];
    for (let j = 1; j <= b.length; j++) {
      const change = a[i - 1] === b[j - 1] ? 0 : 1;
      let least = Math.min((last[j] ?? 0) + 1, (row[j - 1] ?? 0) + 1, (last[j - 1] ?? 0) + change);
      const isSwap = i > 1 && j > 1 && a[i - 1] === b[j - 2] && a[i - 2] === b[j - 1];
      if (isSwap) least = Math.min(least, (before[j - 2] ?? 0) + 1);
      row.push(least);
    }
    before = last;
    last = row;
  }
  return last[b.length] ?? 0;
}
