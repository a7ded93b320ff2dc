import { request } from 'node:http';
import { attempt, type Probe } from './probe.ts';
import { open } from './socket.ts';

/** The node answers `GET path` with status 200. A redirect is another answer, and not followed; the body is not read. */
export const httpProbe: Probe = (target, limits) =>
  attempt('http', target, limits, (settle) => {
    const { host, port, path } = target;
    const headers = { 'user-agent': 'breakwater-probe', connection: 'close' };
    const asked = request({ host, port, path, headers, createConnection: () => open(target).socket });
    asked.on('response', ({ statusCode }) =>
      settle(statusCode === 200 ? undefined : new Error(`status ${statusCode}`)),
    );
    asked.on('error', settle);
    asked.end();
    return () => asked.destroy();
  });
