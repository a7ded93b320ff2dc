/** What the proxy's log tells of re-attachments. */
export interface Moves {
  readonly moved: number;
  readonly clientIds: ReadonlySet<string>;
  readonly failed: number;
  /** The most often that one device was moved. */
  readonly mostOfOneDevice: number;
  readonly causes: Readonly<Record<string, number>>;
  /** From the loss of the node, as the proxy saw it, to the re-attach; in milliseconds. */
  readonly p50Ms: number;
  readonly p99Ms: number;
  readonly maxMs: number;
  /** From the fault to the last re-attach. */
  readonly lastAfterMs: number;
}

interface Line {
  readonly msg: string;
  readonly time: string;
  readonly clientId: string;
  readonly cause: string;
  readonly duration: number;
}

/** @param faultAtMs since the epoch; lines before it do not count */
export function movesIn(log: string, faultAtMs: number): Moves {
  const lines = log
    .split('\n')
    .filter((line) => line.includes('"session ') && line.endsWith('}'))
    .map((line) => JSON.parse(line) as Line)
    .filter(({ time }) => Date.parse(time) >= faultAtMs);
  const moved = lines.filter(({ msg }) => msg === 'session moved');
  const durations = moved.map(({ duration }) => duration * 1000).sort((a, b) => a - b);
  const at = (part: number) => Math.round(durations[Math.ceil(durations.length * part) - 1] ?? 0);
  return {
    moved: moved.length,
    clientIds: new Set(moved.map(({ clientId }) => clientId)),
    failed: lines.length - moved.length,
    mostOfOneDevice: Math.max(0, ...counted(moved.map(({ clientId }) => clientId)).values()),
    causes: Object.fromEntries(counted(moved.map(({ cause }) => cause))),
    p50Ms: at(0.5),
    p99Ms: at(0.99),
    maxMs: at(1),
    lastAfterMs: Math.max(0, ...moved.map(({ time }) => Date.parse(time) - faultAtMs)),
  };
}

function counted(words: readonly string[]): Map<string, number> {
  const counts = new Map<string, number>();
  for (const word of words) counts.set(word, (counts.get(word) ?? 0) + 1);
  return counts;
}
