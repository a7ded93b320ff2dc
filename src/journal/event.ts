/** What happens in a proxy, as the log of events, the journal and `GET events` know it. */

/**
 * The kinds of events, and what each holds. Every kind is kept apart from the others, and so many of its events are kept: a storm of one
 * kind drives out no other.
 */
export const eventKinds = {
  /** What happens to nodes, and to pools as a whole. */
  node: {
    keep: 1000,
    types: [
      ...(['node-health', 'node-lost', 'node-state', 'node-added', 'node-removed', 'node-drained'] as const),
      'panic',
    ],
  },
  move: { keep: 5000, types: ['reattached'] },
  device: { keep: 5000, types: ['placed', 'ended'] },
  refusal: { keep: 1000, types: ['rejected'] },
  /** The same, counted. */
  refusals: { keep: 2000, types: ['refusals'] },
  dial: { keep: 1000, types: ['dial-failed'] },
  progress: {
    keep: 500,
    types: ['drain-progress', 'rebalance-progress', 'proxy-drain-progress', 'proxy-rebalance-progress'],
  },
  proxy: { keep: 200, types: ['proxy-state', 'proxy-lost'] },
  reload: { keep: 200, types: ['reload'] },
  upgrade: { keep: 200, types: ['upgrade'] },
  certificate: { keep: 200, types: ['certificate'] },
  store: { keep: 200, types: ['store'] },
  thread: { keep: 500, types: ['thread'] },
  ban: { keep: 500, types: ['banned', 'unbanned'] },
  /** Changes by the admin API. */
  audit: { keep: 1000, types: ['admin'] },
  /** Those that were not allowed. */
  denied: { keep: 500, types: ['admin-denied'] },
  incident: { keep: 500, types: ['incident'] },
} as const satisfies Record<string, { readonly keep: number; readonly types: readonly string[] }>;

export type EventKind = keyof typeof eventKinds;
type EventType = (typeof eventKinds)[EventKind]['types'][number];

export interface BreakwaterEvent {
  readonly type: EventType;
  /** RFC 3339. */
  readonly at: string;
  readonly [detail: string]: string | number | boolean | undefined;
}

const kindByType = new Map<string, EventKind>(
  (Object.keys(eventKinds) as EventKind[]).flatMap((kind) =>
    eventKinds[kind].types.map((type) => [type, kind] as const),
  ),
);

export function kindOf({ type }: Pick<BreakwaterEvent, 'type'>): EventKind {
  return kindByType.get(type) ?? 'node';
}

/** Which events are asked for; absent: all. */
export interface EventFilter {
  readonly kinds?: readonly EventKind[] | undefined;
  /** Node id: what happened to it, at it, from it or to it. */
  readonly node?: string | undefined;
  /** Client id as events show it. */
  readonly client?: string | undefined;
}

export function matches(event: BreakwaterEvent, { kinds, node, client }: EventFilter): boolean {
  if (kinds !== undefined && !kinds.includes(kindOf(event))) return false;
  if (client !== undefined && event.clientId !== client) return false;
  return node === undefined || event.node === node || event.from === node || event.to === node;
}
