import { messageOf } from '../base/errors.ts';
import { lifeProbe } from './mqtt.ts';
import { type ProbeTarget, reasonOf } from './probe.ts';
import { tcpProbe } from './tcp.ts';

/** What a look at a node found; `detail` is for people, such as `ECONNREFUSED`. */
export type Finding =
  | { readonly kind: 'lives' }
  /** The node accepts and ends the connection: a broker that is full, or an address whose broker is gone. */
  | { readonly kind: 'closes'; readonly detail: string }
  | { readonly kind: 'gone'; readonly evidence: 'refused' | 'no-answer'; readonly detail: string }
  /** Nothing: this machine had no descriptor, port or memory left for it. */
  | { readonly kind: 'unknown'; readonly detail: string };

/** Failures that a broker may cause, and also another program in its place. */
const CLOSES: ReadonlySet<string> = new Set(['closed before CONNACK', 'ECONNRESET', 'EPIPE']);
const LOCAL: ReadonlySet<string> = new Set(['EMFILE', 'ENFILE', 'ENOBUFS', 'ENOMEM', 'EADDRNOTAVAIL']);

/** Looks once whether there is anybody, within this time. */
export async function lookForLife(
  target: ProbeTarget,
  speaksMqtt: boolean,
  timeoutMs: number,
): Promise<Finding> {
  try {
    await (speaksMqtt ? lifeProbe : tcpProbe)(target, { timeoutMs });
    return { kind: 'lives' };
  } catch (error) {
    return findingOf(error instanceof Error ? reasonOf(error) : messageOf(error));
  }
}

function findingOf(detail: string): Finding {
  if (LOCAL.has(detail)) return { kind: 'unknown', detail };
  if (CLOSES.has(detail)) return { kind: 'closes', detail };
  return { kind: 'gone', evidence: detail === 'ECONNREFUSED' ? 'refused' : 'no-answer', detail };
}
