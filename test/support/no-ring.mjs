// Loaded into a proxy by `--import`: its data threads get no io_uring. The main thread, which finds out whether there is one, does.
import { createRequire } from 'node:module';
import { isMainThread } from 'node:worker_threads';

/** The number of io_uring_setup(2). */
const URING_SETUP = 425;

if (!isMainThread) {
  const koffi = createRequire(import.meta.url)('koffi');
  const { load } = koffi;
  koffi.load = (...path) => {
    const library = load(...path);
    const func = (...prototype) => {
      const call = library.func(...prototype);
      if (!prototype[0].includes('syscall(')) return call;
      // A ring without entries is refused by the kernel.
      return (number, entries, ...rest) => call(number, number === URING_SETUP ? 0 : entries, ...rest);
    };
    return { func };
  };
}
