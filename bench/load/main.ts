import { connects, echo, type Figures, fanIn, idle, latency, type Task } from './measures.ts';

/** A child process of the benchmark: `main.js MEASURE TASK-AS-JSON`, prints its figures as JSON. */
const measures: Readonly<Record<string, (task: Task) => Figures>> = { fanIn, echo, latency, connects, idle };

const [name = '', json = ''] = process.argv.slice(2);
const measure = measures[name];
if (measure === undefined)
  throw new Error(`no measure ${name}; there are ${Object.keys(measures).join(', ')}`);
console.log(JSON.stringify(measure(JSON.parse(json) as Task)));
process.exit(0);
