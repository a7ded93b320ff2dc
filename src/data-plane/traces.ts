import { Connection } from '../connection/connection.ts';
import { PacketTrace } from '../connection/packet-trace.ts';
import { traceSession } from '../connection/trace-session.ts';
import type { TraceAnswer, TraceOrder } from '../data-plane-api/trace.ts';

/** At one time, of one worker: each costs its device some microseconds a packet, and at most half a megabyte. */
const MAX_TRACES = 4;

interface Trace {
  readonly reader: string;
  readonly connection: Connection;
  readonly trace: PacketTrace;
  readonly end: () => void;
}

type Host = { readonly open: Iterable<unknown> & { has(connection: Connection): boolean } };

/** The traces of a worker's connections, by the number of the connection. */
export class Traces {
  private readonly traces = new Map<number, Trace>();
  private readonly now: () => number;

  /** @param now milliseconds since 1970 */
  constructor(now: () => number) {
    this.now = now;
  }

  answer(order: TraceOrder, hosts: Iterable<Host>): TraceAnswer {
    const all = [...hosts];
    if (order.kind === 'begin') return this.begin(order, all);
    const found = this.traces.get(order.connection);
    if (found === undefined || found.reader !== order.reader) return nothing('absent');
    const isGone = !all.some(({ open }) => open.has(found.connection));
    if (order.kind === 'end' || isGone) this.end(order.connection, found);
    return { state: isGone ? 'gone' : 'open', ...found.trace.take() };
  }

  private begin({ connection: number, reader, payloads }: TraceOrder, hosts: readonly Host[]): TraceAnswer {
    for (const [each, trace] of this.traces) if (trace.trace.isForsaken) this.end(each, trace);
    const connection = find(number, hosts);
    if (connection === undefined) return nothing('absent');
    const { session, connect } = connection;
    if (session === undefined || connect === undefined) return nothing('relayed');
    if (this.traces.has(number) || this.traces.size >= MAX_TRACES) return nothing('busy');
    const trace = new PacketTrace({ version: connect.protocolVersion, payloads, now: this.now });
    this.traces.set(number, { reader, connection, trace, end: traceSession(session, trace) });
    return nothing('open');
  }

  private end(number: number, { end }: Trace): void {
    end();
    this.traces.delete(number);
  }
}

function find(number: number, hosts: readonly Host[]): Connection | undefined {
  for (const { open } of hosts)
    for (const connection of open)
      if (connection instanceof Connection && connection.number === number && connection.placedAtMs !== 0)
        return connection;
  return undefined;
}

function nothing(state: TraceAnswer['state']): TraceAnswer {
  return { state, packets: [], dropped: 0 };
}
