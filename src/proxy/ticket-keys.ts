import { randomBytes } from 'node:crypto';
import { z } from 'zod';
import type { Clock } from '../base/time.ts';
import { TICKET_KEY_BYTES } from '../engine/tls.ts';
import type { Sealing } from '../membership/store/sealing.ts';
import type { MembershipStore } from '../membership/store/store.ts';

/** A key seals tickets for so long, and opens them for as long again; a ticket lasts two hours. */
export const ROTATE_MS = 6 * 3_600_000;
const KEPT = 2;
const NAME = 'ticket-keys';

export const ticketRing = z
  .array(
    z.object({
      /** Since when it seals, in ms since 1970. */
      sinceMs: z.int().min(0),
      /** Another build may make longer ones. */
      key: z.string().refine((key) => Buffer.from(key, 'base64').length >= TICKET_KEY_BYTES),
    }),
  )
  .min(1)
  .max(KEPT);
type Ring = z.output<typeof ticketRing>;

interface TicketKeysParts {
  readonly store: Pick<MembershipStore, 'share'>;
  /** Absent: the keys are this proxy's own. */
  readonly sealing: Sealing | undefined;
  /** Milliseconds since 1970. */
  readonly clock: Clock;
  readonly onChange: (keys: readonly Uint8Array[]) => void;
  /** What this proxy had before. */
  readonly former?: Ring | undefined;
}

/**
 * The keys of TLS session tickets. Whoever gets one can read what was sent under TLS 1.2 sessions that it sealed, so they are
 * made anew every few hours, and the old ones kept nowhere. Proxies share them, sealed, through the store, so that a device
 * resumes its session at whichever proxy it comes back to.
 */
export function createTicketKeys({ store, sealing, clock, onChange, former }: TicketKeysParts) {
  let current: Ring = former ?? [made()];
  /** What is in the store, as far as it is known. */
  let shared: string | undefined;

  function made(): Ring[number] {
    return { sinceMs: clock.now(), key: randomBytes(TICKET_KEY_BYTES).toString('base64') };
  }

  function use(next: Ring): void {
    if (next[0]?.key === current[0]?.key) return;
    current = next;
    onChange(keys());
  }

  const keys = (): Uint8Array[] =>
    current.map(({ key }) => Buffer.from(key, 'base64').subarray(0, TICKET_KEY_BYTES));
  const isDue = ([newest]: Ring): boolean => clock.now() - (newest?.sinceMs ?? 0) >= ROTATE_MS;
  const rotated = (from: Ring): Ring => [made(), ...from].slice(0, KEPT);

  function opened(sealed: string): Ring | undefined {
    const text = sealing?.open(NAME, sealed);
    if (text === undefined) return undefined;
    const parsed = ticketRing.safeParse(JSON.parse(text));
    return parsed.success ? parsed.data : undefined;
  }

  /** Puts these keys where the known ones are, unless another proxy was quicker. */
  async function offer(next: Ring, sealed: string): Promise<void> {
    const there = await store.share(NAME, sealed, shared);
    const theirs = there === sealed ? next : opened(there);
    shared = there;
    if (theirs !== undefined) use(theirs);
    else await store.share(NAME, sealed, there); // nobody with this secret can use it
  }

  return {
    keys,
    describe: (): Ring => current,
    /** Whether it is time for new keys, here or at another proxy. Call it a few times a minute. */
    async look(): Promise<void> {
      const next = isDue(current) ? rotated(current) : current;
      if (sealing === undefined) return use(next);
      // Sealed anew it is another text: what is known to be there is offered as it is, to see whether it still is.
      const isSame = next === current && shared !== undefined && opened(shared)?.[0]?.key === next[0]?.key;
      await offer(next, isSame && shared !== undefined ? shared : sealing.seal(NAME, JSON.stringify(next)));
    },
  };
}

export type TicketKeys = ReturnType<typeof createTicketKeys>;
