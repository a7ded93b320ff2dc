import { EPOLLERR, EPOLLHUP, EPOLLIN } from '../../src/engine/linux/libc.ts';
import { type Figures, measured, type Task } from './measures.ts';
import { type Role, Station } from './station.ts';

/** Connections from an address that may not connect, so many at a time, each until the proxy ends it. */
export function refusals(task: Task): Figures {
  const station = new Station();
  let refused = 0;
  const dial = (): number => station.dial(task.proxy, source, task.from, false);
  const source: Role = {
    event(fd, mask) {
      if ((mask & (EPOLLERR | EPOLLHUP | EPOLLIN)) === 0) return;
      refused++;
      station.reset(fd);
      dial();
    },
  };
  for (let i = 0; i < task.connections; i++) dial();
  const window = measured(
    task,
    () => station.turn(1),
    () => {
      refused = 0;
    },
  );
  return {
    cpuUsPerRefusal: window.cpuUs / refused,
    refusalsPerCpuSecond: (1e6 * refused) / window.cpuUs,
  };
}
