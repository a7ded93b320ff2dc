import type { ProxyHeader } from './header.ts';

/** Why a header is refused: a metric label. `no-header` is the only one where the bytes may be something else. */
export type ProxyFault = 'no-header' | 'malformed' | 'too-long' | 'checksum';

export type Decoded =
  | { readonly kind: 'incomplete' }
  /** `end` is the offset just behind the header: there the device's own bytes begin. */
  | { readonly kind: 'header'; readonly header: ProxyHeader; readonly end: number }
  /** The connection is to be reset (clauses 2.1 and 2.2). */
  | { readonly kind: 'refused'; readonly fault: ProxyFault; readonly detail: string };

export const incomplete: Decoded = { kind: 'incomplete' };

export function refused(fault: ProxyFault, detail: string): Decoded {
  return { kind: 'refused', fault, detail };
}
