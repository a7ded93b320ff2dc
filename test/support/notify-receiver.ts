import { AF_UNIX, loadLibc, SOCK_CLOEXEC, SOCK_DGRAM, SOCK_NONBLOCK } from '../../src/engine/linux/libc.ts';
import { atEnd } from './process.ts';

/** The socket of a service manager, at a path or (`@name`) in the abstract namespace. */
export function startNotifyReceiver(address: string) {
  const libc = loadLibc();
  const path = Buffer.from(address.replace(/^@/, '\0'));
  const bound = libc.pin(2 + path.length + 1);
  bound.bytes.writeUInt16LE(AF_UNIX, 0);
  path.copy(bound.bytes, 2);
  const fd = libc.socket(AF_UNIX, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  const result = libc.bind(fd, bound.address, 2 + path.length + (path[0] === 0 ? 0 : 1));
  if (result !== 0) throw new Error(`bind: ${result}`);
  atEnd(() => libc.close(fd));
  const buffer = libc.pin(4096);
  const messages: string[] = [];
  return {
    /** All datagrams so far. */
    messages(): readonly string[] {
      for (;;) {
        const length = libc.recv(fd, buffer.address, 4096, 0);
        if (length < 0) return messages;
        messages.push(buffer.bytes.toString('utf8', 0, length));
      }
    },
  };
}
