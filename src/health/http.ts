import { request } from 'node:http';
import { connect } from 'node:net';
import { attempt, type Probe } from './probe.ts';

/** The node answers `GET path` with status 200. A redirect is another answer, and not followed; the body is not read. */
export const httpProbe: Probe = (target, limits) =>
  attempt('http', target, limits, (settle) => {
    const { host, port, path, header } = target;
    const headers = { 'user-agent': 'breakwater-probe', connection: 'close' };
    const createConnection = () => {
      const socket = connect({ host, port });
      if (header !== undefined) socket.write(header);
      return socket;
    };
    const asked = request({ host, port, path, headers, createConnection });
    asked.on('response', ({ statusCode }) =>
      settle(statusCode === 200 ? undefined : new Error(`status ${statusCode}`)),
    );
    asked.on('error', settle);
    asked.end();
    return () => asked.destroy();
  });
