import type { Session } from '../session/index.ts';
import { type Deaths, noDeaths } from './deaths.ts';
import { type FlowControl, freeFlow } from './flow-control.ts';
import type { HandedSessionForwarder } from './handed-forwarder.ts';
import type { KeepAliveMonitor } from './keep-alive-monitor.ts';
import type { Parting } from './parting.ts';
import type { SessionUpstream } from './session-upstream.ts';

/** What a `SessionForwarder` is made of. */
interface Parts {
  readonly session: Session;
  readonly upstream: SessionUpstream;
  readonly monitor: KeepAliveMonitor | undefined;
  readonly flow: FlowControl | undefined;
  readonly deaths: Deaths | undefined;
  readonly parting: Readonly<Parting>;
}

/** For another process. Undefined unless a node serves, or none is asked, and nothing else is under way. */
export function describeForwarder(parts: Parts, nowMs: number): HandedSessionForwarder | undefined {
  const { monitor, parting } = parts;
  const { leaving, closeMode, purges } = parting;
  const waits = parting.farewellWaits || parting.linkEnd !== undefined;
  if (waits || parting.finished) return undefined;
  const [session, upstream] = [parts.session.describe(), parts.upstream.describe()];
  const flow = parts.flow === undefined ? freeFlow : parts.flow.describe();
  const deaths = parts.deaths === undefined ? noDeaths : parts.deaths.describe();
  if (!session || !upstream || !flow || !deaths || !monitor === !upstream.move) return undefined;
  return {
    ...{ kind: 'session', session, upstream, flow, deaths, leaving, closeMode, purges },
    monitor: monitor?.describe(nowMs),
  };
}
