/** Every kind of probe by its name; what other rooms use of this one to probe a node. */

import { httpProbe } from './http.ts';
import { mqttProbe } from './mqtt.ts';
import type { Probe, ProbeName } from './probe.ts';
import { tcpProbe } from './tcp.ts';

export { type Finding, lookForLife } from './life.ts';

/** Every probe by the name that the configuration uses. */
export const probes: Readonly<Record<ProbeName, Probe>> = { tcp: tcpProbe, http: httpProbe, mqtt: mqttProbe };
