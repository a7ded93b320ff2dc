import { createServer } from 'node:http';
import { Pool } from 'undici';

/** The least HTTP proxy that node:http and undici can be, `bare-http.js PORT NODE-PORT`: what it costs is not ours. */
const [, , port, nodePort] = process.argv;
const pool = new Pool(`http://127.0.0.1:${nodePort}`, { connections: 64, pipelining: 1 });

createServer((incoming, response) => {
  const { method = 'GET', url: path = '/', rawHeaders: headers } = incoming;
  pool.dispatch(
    { method: method as 'GET', path, headers, body: null },
    {
      onRequestStart: () => undefined,
      onResponseStart: ({ rawHeaders }, status) => {
        response.writeHead(status, (rawHeaders as Buffer[]).map(String));
      },
      onResponseData: (_, chunk) => void response.write(chunk),
      onResponseEnd: () => void response.end(),
      onResponseError: () => void response.destroy(),
    },
  );
}).listen(Number(port), '127.0.0.1');
