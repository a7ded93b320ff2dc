import { EAGAIN, EPOLLERR, EPOLLHUP, EPOLLIN, EPOLLOUT, type Pinned } from '../../src/engine/linux/libc.ts';
import { type Figures, measured, type Task } from './measures.ts';
import { type Role, Station } from './station.ts';

/** The load of HTTP: browsers that ask for one small thing after the other, and a node that answers each at once. */

const END = '~';
const BODY = `${'x'.repeat(99)}${END}`;
const ANSWER = [
  'HTTP/1.1 200 OK',
  ...['Date: Mon, 30 Nov 2026 00:00:00 GMT', 'Content-Type: application/json', 'Cache-Control: no-cache'],
  ...[`Content-Length: ${BODY.length}`, '', BODY],
].join('\r\n');
/** What a browser sends. */
const REQUEST = [
  'GET /api/v1/status?detail=1 HTTP/1.1',
  ...['Host: bench.example', 'User-Agent: Mozilla/5.0 (X11; Linux x86_64) bench/1.0', 'Accept: */*'],
  ...['Accept-Language: en', 'Accept-Encoding: gzip, deflate', 'Cookie: session=0123456789abcdef', '', ''],
].join('\r\n');

function text(station: Station, content: string): Pinned {
  const pinned = station.libc.pin(content.length);
  pinned.bytes.write(content, 'latin1');
  return pinned;
}

/** One request is under way on a link at any time, and none is larger than one read. */
function node(station: Station): Role {
  const answer = text(station, ANSWER);
  return {
    event(fd, mask) {
      if ((mask & EPOLLIN) === 0) return;
      const got = station.receive(fd);
      if (got === -EAGAIN) return;
      if (got <= 0) station.close(fd);
      else station.send(fd, answer, ANSWER.length);
    },
  };
}

/** So many connections, each with its next request as soon as it has its answer. */
export function httpRequests(task: Task): Figures {
  const station = new Station();
  station.listen(task.sink, node(station));
  const request = text(station, REQUEST);
  const { bytes } = station.scratch;
  const ok = Buffer.from('HTTP/1.1 200');
  const begun = new Set<number>();
  let answered = 0;
  const browser: Role = {
    event(fd, mask) {
      if ((mask & (EPOLLERR | EPOLLHUP)) !== 0) throw new Error('a connection was reset');
      if (!begun.has(fd) && (mask & EPOLLOUT) !== 0) {
        begun.add(fd);
        station.send(fd, request, REQUEST.length);
      }
      if ((mask & EPOLLIN) === 0) return;
      const got = station.receive(fd);
      if (got === -EAGAIN) return;
      if (got <= 0) throw new Error('a connection was closed');
      if (bytes[0] === ok[0] && ok.compare(bytes, 0, ok.length) !== 0)
        throw new Error(`the answer is ${bytes.toString('latin1', 0, 40)}`);
      if (bytes[got - 1] !== END.charCodeAt(0)) return; // the body comes by itself
      answered++;
      station.send(fd, request, REQUEST.length);
    },
  };
  for (let i = 0; i < task.connections; i++) station.dial(task.proxy, browser);
  const window = measured(
    task,
    () => station.turn(1),
    () => {
      answered = 0;
    },
  );
  return {
    requestsPerSecond: answered / window.seconds,
    cpuUsPerRequest: window.cpuUs / answered,
  };
}
