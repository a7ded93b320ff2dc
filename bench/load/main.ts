import { bulk } from './bulk.ts';
import { fanOut } from './fan-out.ts';
import * as growth from './growth.ts';
import { httpRequests } from './http.ts';
import * as plain from './measures.ts';
import { refusals } from './refusals.ts';
import * as storm from './storm.ts';
import * as tls from './tls.ts';
import * as websocket from './websocket.ts';

/** A child process of the benchmark: `main.js MEASURE TASK-AS-JSON`, prints its figures as JSON. */
type Measure = (task: plain.Task) => plain.Figures | Promise<plain.Figures>;
const { fanIn, qos1, echo, latency, connects, idle, subscribed } = plain;
const measures: Readonly<Record<string, Measure>> = {
  ...{ fanIn, qos1, echo, latency, connects, idle, subscribed },
  ...{ bulk, fanOut, httpRequests, refusals },
  ...growth,
  ...storm,
  ...tls,
  ...websocket,
};

const [name = '', json = ''] = process.argv.slice(2);
const measure = measures[name];
if (measure === undefined)
  throw new Error(`no measure ${name}; there are ${Object.keys(measures).join(', ')}`);
console.log(JSON.stringify(await measure(JSON.parse(json) as plain.Task)));
process.exit(0);
