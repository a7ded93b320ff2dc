import { uint32 } from '../base/bytes.ts';
import { propertiesEnd, property, propertyEnd } from '../protocol/mqtt/properties.ts';
import { varintEnd } from '../protocol/mqtt/varint.ts';
import { stage } from './stages.ts';
import type { State } from './state.ts';
import { readSubscriptions, type Subscription, Subscriptions } from './subscriptions.ts';

/** Characters of base64; some 256 kB of subscriptions. A session with more is not remembered. */
export const SUBSCRIPTIONS_MAX = 349_528;

/** What a connection leaves of a persistent session, in base64 as `Subscriptions.text`. */
interface Rest {
  readonly subscriptions: string;
  /**
   * Undefined where `subscriptions` are all that the session has. Otherwise the connection never learned which ones
   * the session had before, and has ended these of them.
   */
  readonly unsubscribed: string | undefined;
  /** Seconds for which the broker keeps the session; Infinity before MQTT 5, where nobody says. */
  readonly expirySeconds: number;
}

/**
 * The subscriptions of a persistent session outlive the connection, at the broker. They are all known where the session
 * was followed from its beginning, over all of its connections. To that end the owner keeps what `rest` gives when a
 * connection ends, and gives it to `recall` when the next one resumes the session.
 */
export class SessionMemory {
  private readonly state: State;

  constructor(state: State) {
    this.state = state;
  }

  /** Once a node has accepted: has it begun a session that outlives the connection, or resumed one? Undefined: neither. */
  get opening(): 'begun' | 'resumed' | undefined {
    const { attachments, endsWithLink, inherited } = this.state;
    if (attachments === 0 || endsWithLink) return undefined;
    return inherited ? 'resumed' : 'begun';
  }

  /**
   * The subscriptions that the resumed session had when this connection began. What the device has subscribed and
   * unsubscribed since then holds. False where they cannot be used, and the session stays as it was.
   */
  recall(text: string): boolean {
    const { state: s } = this;
    if (!s.inherited || s.rare.isBeyondRecall || s.stays !== undefined || s.phase === 'over') return false;
    const recalled = merged(text, s.rare.unsubscribed ?? [], s.subscriptions ?? []);
    if (recalled === undefined || recalled.bytes + (s.aliases?.bytes ?? 0) > s.options.maxStateBytes)
      return false;
    s.subscriptions = recalled.count > 0 ? recalled : undefined;
    if (s.rare.unsubscribed) s.needRare().unsubscribed = undefined;
    s.inherited = false;
    return true;
  }

  /**
   * The connection ends. Undefined where the session ends too, or it is not known what it has: a SUBSCRIBE or UNSUBSCRIBE
   * that no node has answered may have been carried out.
   */
  get rest(): Rest | undefined {
    const { state: s } = this;
    if (this.opening === undefined || s.rare.isBeyondRecall || s.stays !== undefined || isAsking(s))
      return undefined;
    const expirySeconds = s.version === 5 ? sessionExpiryOf(s) : Number.POSITIVE_INFINITY;
    const subscriptions = s.subscriptions?.text ?? '';
    const unsubscribed = s.inherited ? (s.rare.unsubscribed?.text ?? '') : undefined;
    const longest = Math.max(subscriptions.length, unsubscribed?.length ?? 0);
    if (expirySeconds === 0 || longest > SUBSCRIPTIONS_MAX) return undefined;
    return { subscriptions, unsubscribed, expirySeconds };
  }
}

/** What a session has that had `before`, unsubscribed and then subscribed; undefined where `before` cannot be read. */
function merged(
  before: string,
  unsubscribed: Iterable<Subscription>,
  subscribed: Iterable<Subscription>,
): Subscriptions | undefined {
  const all = readSubscriptions(before);
  if (all === undefined) return undefined;
  for (const { filter } of unsubscribed) all.delete(filter);
  for (const subscription of subscribed) all.set(subscription);
  return all;
}

/**
 * All that a session has: `before` was remembered, and the connection after it did not learn of it. Undefined where
 * it cannot be read, or is too much to be remembered.
 */
export function mergeRest(before: string, subscribed: string, unsubscribed: string): string | undefined {
  const [gone, come] = [readSubscriptions(unsubscribed), readSubscriptions(subscribed)];
  const all = gone && come && merged(before, gone, come);
  return all === undefined || all.text.length > SUBSCRIPTIONS_MAX ? undefined : all.text;
}

function isAsking({ inflightFromDevice }: State): boolean {
  for (
    let at = inflightFromDevice?.first() ?? -1;
    inflightFromDevice !== undefined && at >= 0;
    at = inflightFromDevice.next(at)
  )
    if (inflightFromDevice.stage(at) === stage.asked) return true;
  return false;
}

/**
 * The Session Expiry Interval that holds: the one in the device's DISCONNECT, else the node's, else the one in
 * CONNECT (MQTT 5.0 clauses 3.14.2.2.2, 3.2.2.3.2, 3.1.2.11.2).
 */
function sessionExpiryOf({ rare, advertised, connect }: State): number {
  return rare.expiryAtEnd ?? advertised.sessionExpiryInterval ?? connect.properties.sessionExpiryInterval;
}

/** The device has unsubscribed: of a session that is older than the connection too. */
export function unsubscribedFrom(s: State, filter: Uint8Array): void {
  s.subscriptions?.delete(filter);
  if (!s.inherited || s.rare.isBeyondRecall) return;
  const rare = s.needRare();
  rare.unsubscribed ??= new Subscriptions();
  rare.unsubscribed.set({ filter, options: 0, identifier: 0 });
  if (rare.unsubscribed.bytes <= s.options.maxStateBytes) return;
  rare.isBeyondRecall = true;
  rare.unsubscribed = undefined;
}

/** The device leaves, in MQTT 5 perhaps with a Session Expiry Interval: its DISCONNECT is whole, with its body in [bodyAt, end). */
export function noteExpiry(s: State, bytes: Uint8Array, bodyAt: number, end: number): void {
  const expiry = expiryIn(bytes, bodyAt, end);
  if (expiry !== undefined) s.needRare().expiryAtEnd = expiry;
}

function expiryIn(bytes: Uint8Array, bodyAt: number, end: number): number | undefined {
  const behind = bodyAt + 1 < end ? propertiesEnd(bytes, bodyAt + 1, end) : -1;
  if (behind < 0) return undefined;
  for (
    let at = varintEnd(bytes, bodyAt + 1, end);
    at >= 0 && at < behind;
    at = propertyEnd(bytes, at, behind)
  )
    if (bytes[at] === property.sessionExpiryInterval && at + 5 <= behind) return uint32(bytes, at + 1);
  return undefined;
}
