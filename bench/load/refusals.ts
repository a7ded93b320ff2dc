import { EPOLLERR, EPOLLHUP, EPOLLIN, EPOLLOUT } from '../../src/engine/linux/libc.ts';
import { type Figures, measured, type Task } from './measures.ts';
import { createPackets } from './mqtt.ts';
import { type Role, Station } from './station.ts';

/** Devices at an address that may not connect, so many at a time: each sends its CONNECT, until the proxy ends the connection. */
export function refusals(task: Task): Figures {
  const station = new Station();
  const packets = createPackets(station.libc);
  let refused = 0;
  const dial = (): number => station.dial(task.proxy, source, task.from);
  const source: Role = {
    event(fd, mask) {
      if ((mask & (EPOLLERR | EPOLLHUP | EPOLLIN)) !== 0) {
        refused++;
        station.reset(fd);
        dial();
      } else if ((mask & EPOLLOUT) !== 0) {
        const packet = packets.connect();
        station.sendSome(fd, packet, 0, packet.bytes.length); // refused already, perhaps
      }
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
