import { request } from 'node:http';
import { attempt, type Probe } from './probe.ts';
import { discard, open, type ProbeSocket } from './socket.ts';

/** The node answers `GET path` with status 200. A redirect is another answer, and not followed; the body is not read. */
export const httpProbe: Probe = (target, limits) =>
  attempt('http', target, limits, (finish) => {
    const { host, port, path } = target;
    const headers = { 'user-agent': 'breakwater-probe', connection: 'close' };
    let probe: ProbeSocket | undefined;
    const asked = request({
      ...{ host, port, path, headers },
      // The request gets the socket when it is open: what the node expects first has been sent then.
      createConnection(_options, created) {
        const opening = open(target, limits, () => created(null, opening.socket));
        opening.socket.on('error', finish);
        probe = opening;
        return undefined;
      },
    });
    asked.on('response', ({ statusCode }) =>
      finish(statusCode === 200 ? undefined : new Error(`status ${statusCode}`)),
    );
    asked.on('error', finish);
    asked.end();
    return () => {
      asked.destroy();
      if (probe !== undefined) discard(probe);
    };
  });
