// Loaded into a proxy by `--import`: when there is a file at the path in DIE_AT, one data thread takes it away, and fails as it
// says: `reject`: over and over where no guard is, until it is given up; `loop`: once, in its loop. And a thread that is to send
// `poison` to a node fails there, and fails again when it resets that connection. As long as there is a file at that path with `-gate`
// behind it, a thread that starts does not get ready.
import { existsSync, readFileSync, unlinkSync } from 'node:fs';
import { createRequire } from 'node:module';
import { isMainThread } from 'node:worker_threads';

const { DIE_AT } = process.env;
/** The number of io_uring_enter(2). */
const URING_ENTER = 426;

/** How this thread is to fail now. */
function order() {
  if (!existsSync(DIE_AT)) return undefined;
  try {
    const how = readFileSync(DIE_AT, 'utf8');
    if (how === '') return undefined; // it is being written
    unlinkSync(DIE_AT);
    return how;
  } catch {
    return undefined; // it is another thread's
  }
}

function obey() {
  const how = order();
  if (how === 'loop') fail();
  if (how === 'reject') for (let i = 0; i < 30; i++) void Promise.reject(new Error('put in by a test'));
}

function fail() {
  throw new Error('put in by a test');
}

if (!isMainThread) {
  const never = new Int32Array(new SharedArrayBuffer(4));
  while (existsSync(`${DIE_AT}-gate`)) Atomics.wait(never, 0, 0, 20);
  let hasLoop = false;
  const obeyInLoop = () => {
    hasLoop = true;
    obey();
  };
  // With Node's own sockets. Where the engine has a loop, a fault of a timer would not be one of that.
  setInterval(() => hasLoop || obey(), 50).unref();
  const koffi = createRequire(import.meta.url)('koffi');
  const { load } = koffi;
  let isPoisoned = false;
  const faulty = {
    epoll_wait(call) {
      return (...args) => {
        obeyInLoop();
        return call(...args);
      };
    },
    syscall(call) {
      return (number, ...args) => {
        if (number === URING_ENTER) obeyInLoop();
        return call(number, ...args);
      };
    },
    send(call) {
      return (fd, address, length, flags) => {
        if (!Buffer.from(koffi.view(BigInt(address), length)).includes('poison'))
          return call(fd, address, length, flags);
        isPoisoned = true;
        return fail();
      };
    },
    setsockopt(call) {
      return (...args) => {
        if (!isPoisoned) return call(...args);
        isPoisoned = false;
        return fail();
      };
    },
  };
  koffi.load = (...path) => {
    const library = load(...path);
    const func = (...prototype) => {
      const call = library.func(...prototype);
      const [, name] = /(\w+)\(/.exec(prototype[0]) ?? [];
      return Object.hasOwn(faulty, name) ? faulty[name](call) : call;
    };
    return { func };
  };
}
