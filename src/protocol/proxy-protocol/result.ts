import type { ProxyHeader } from './header.ts';

/** Why a header is refused: a metric label. `no-header` is the only one where the bytes may be something else. */
export type ProxyFault = 'no-header' | 'malformed' | 'too-long' | 'checksum';

export type Decoded =
  /** Nothing more can be said before so many bytes are there. */
  | { readonly kind: 'incomplete'; readonly wantedBytes: number }
  /** `end` is the offset just behind the header: there the device's own bytes begin. */
  | { readonly kind: 'header'; readonly header: ProxyHeader; readonly end: number }
  /** The connection is to be reset (clauses 2.1 and 2.2). */
  | { readonly kind: 'refused'; readonly fault: ProxyFault; readonly detail: string };

export function incomplete(wantedBytes: number): Decoded {
  return { kind: 'incomplete', wantedBytes };
}

export function refused(fault: ProxyFault, detail: string): Decoded {
  return { kind: 'refused', fault, detail };
}
