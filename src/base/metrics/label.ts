/** What a label says once it has as many values as it may. */
export const OTHER = 'other';

/**
 * Keeps one label's cardinality bounded: the first `limit` distinct values pass, every later one becomes `other`.
 * A value that passed once passes always, so that a counter never jumps from one series to another.
 */
export function boundLabel(limit: number): (value: string) => string {
  const known = new Set<string>();
  return (value) => {
    if (known.has(value)) return value;
    if (known.size >= limit) return OTHER;
    known.add(value);
    return value;
  };
}
