import type { Random } from '../base/time.ts';
import type { EndReason } from '../connection/connection-host.ts';
import type { DepartureOrder, ServerReference } from '../data-plane-api/departure.ts';

/** Lets the devices of one worker leave a few at a time: the proxy stops, is drained, or has more than its share. */

interface Leaver {
  end(reason: EndReason, serverReference?: string): void;
}

/** The devices of one listener. */
interface Crew {
  readonly listener: { readonly url: string; readonly neighbours?: readonly string[] | undefined };
  readonly open: Iterable<Leaver> & { has(leaver: never): boolean };
}

interface Member {
  readonly leaver: Leaver;
  readonly crew: Crew;
}

/**
 * Those that were here when a departure began leave in an order of chance, so that all listeners and pools are thinned out alike. Those of
 * another thread that has died were here too.
 */
export class Departures {
  private readonly random: Random;
  private departure = 0;
  private members: Member[] = [];

  constructor(random: Random) {
    this.random = random;
  }

  /** Ends a few; how many that were, and how many are still to leave. Of a departure that another one has replaced, none are. */
  take(order: DepartureOrder, crews: Iterable<Crew>): { readonly ended: number; readonly left: number } {
    if (order.departure < this.departure) return { ended: 0, left: 0 };
    if (order.departure > this.departure) this.begin(order.departure, crews);
    let ended = 0;
    while (ended < order.count && this.members.length > 0) if (this.endOne(order)) ended++;
    return { ended, left: this.members.length };
  }

  /** These have stood still, and go on in this worker. */
  join(members: readonly Member[]): void {
    if (this.departure === 0) return; // all who are here are noted when one begins
    this.members = this.members.filter(({ leaver, crew }) => crew.open.has(leaver as never));
    this.members.push(...members);
  }

  private begin(departure: number, crews: Iterable<Crew>): void {
    this.departure = departure;
    this.members = [];
    for (const crew of crews) for (const leaver of crew.open) this.members.push({ leaver, crew });
  }

  /** False: it had left already. */
  private endOne({ reason, references }: DepartureOrder): boolean {
    const { members } = this;
    const at = Math.floor(this.random() * members.length);
    const member = members[at];
    const last = members.pop();
    if (member === undefined || last === undefined) return false;
    if (at < members.length) members[at] = last;
    const { leaver, crew } = member;
    if (!crew.open.has(leaver as never)) return false;
    leaver.end(reason, this.referenceFor(crew, references));
    return true;
  }

  /** One of several for each device, so that not all go to the same. */
  private referenceFor({ listener }: Crew, others: readonly ServerReference[]): string | undefined {
    const { url, neighbours = [] } = listener;
    const scheme = url.slice(0, url.indexOf(':'));
    const known =
      neighbours.length > 0
        ? neighbours
        : others.filter((other) => other.scheme === scheme).map(({ address }) => address);
    return known[Math.floor(this.random() * known.length)];
  }
}
