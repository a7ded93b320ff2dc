import { once } from 'node:events';
import { connect } from 'node:net';
import { atEnd, start } from './process.ts';
import { until } from './wait.ts';

const SCRIPT = `
  const server = require('node:net').createServer(() => {});
  const [host, port] = process.argv.slice(1);
  server.listen({ host, port, backlog: 1 }, () => console.log('listening'));
`;

/**
 * Has connects to this address never be answered, as of a host that a firewall hides: its accept queue is full and its process
 * stopped, so that the kernel drops what comes.
 */
export async function blackHole(host: string, port: number): Promise<void> {
  const server = start(process.execPath, ['-e', SCRIPT, host, String(port)]);
  await until(() => server.output().includes('listening'), 'the server');
  server.kill('SIGSTOP');
  for (let i = 0; i < 4; i++) {
    const socket = connect({ host, port }).on('error', () => {});
    atEnd(() => socket.destroy());
    const connected = once(socket, 'connect').then(() => true);
    const isFull = new Promise<boolean>((resolve) => setTimeout(resolve, 300, false));
    if (!(await Promise.race([connected, isFull]))) return;
  }
  throw new Error('its accept queue is never full');
}
