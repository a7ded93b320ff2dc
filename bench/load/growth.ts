import { type Figures, fanInOf, prepare, type Task } from './measures.ts';
import { MESSAGE_BYTES } from './mqtt.ts';

/** How the CPU per message grows: figures `at100`, `at1000`, …, one for each step. */

/** More and more devices send the same number of messages a second in all. */
export function byConnections(task: Task): Figures {
  return grown(task, (step) => ({ ...task, connections: step }));
}

/** The same devices send more and more. */
export function byRate(task: Task): Figures {
  return grown(task, (step) => ({ ...task, ratePerSecond: step }));
}

function grown(task: Task, at: (step: number) => Task): Figures {
  const { station, packets, sink, devices } = prepare(task, 'swallow');
  const figures: Record<string, number> = {};
  for (const step of task.steps ?? []) {
    const part = at(step);
    devices.open(part.connections - devices.fds.length);
    const { cpuUsPerMessage } = fanInOf(part, station, sink, (message) => {
      station.send(devices.fds[message % devices.fds.length] as number, packets.publish, MESSAGE_BYTES);
    });
    figures[`at${step}`] = cpuUsPerMessage as number;
  }
  return figures;
}
