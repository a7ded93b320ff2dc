import * as plain from './measures.ts';
import * as storm from './storm.ts';
import * as tls from './tls.ts';
import * as websocket from './websocket.ts';

/** A child process of the benchmark: `main.js MEASURE TASK-AS-JSON`, prints its figures as JSON. */
type Measure = (task: plain.Task) => plain.Figures | Promise<plain.Figures>;
const { measured: _, settled: __, ...loads } = plain;
const measures: Readonly<Record<string, Measure>> = { ...loads, ...storm, ...tls, ...websocket };

const [name = '', json = ''] = process.argv.slice(2);
const measure = measures[name];
if (measure === undefined)
  throw new Error(`no measure ${name}; there are ${Object.keys(measures).join(', ')}`);
console.log(JSON.stringify(await measure(JSON.parse(json) as plain.Task)));
process.exit(0);
