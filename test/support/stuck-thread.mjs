// Loaded into a proxy by `--import`: a data thread that is to send `stick` to a node does not come back from that call of
// libc before there is a file at the path in STICK_UNTIL.
import { existsSync } from 'node:fs';
import { createRequire } from 'node:module';
import { isMainThread } from 'node:worker_threads';

if (!isMainThread) {
  const koffi = createRequire(import.meta.url)('koffi');
  const { load } = koffi;
  const never = new Int32Array(new SharedArrayBuffer(4));
  koffi.load = (...path) => {
    const library = load(...path);
    const func = (prototype) => {
      const call = library.func(prototype);
      if (!/\bsend\(/.test(prototype)) return call;
      return (fd, address, length, flags) => {
        const isStuck = Buffer.from(koffi.view(BigInt(address), length)).includes('stick');
        while (isStuck && !existsSync(process.env.STICK_UNTIL)) Atomics.wait(never, 0, 0, 20);
        return call(fd, address, length, flags);
      };
    };
    return { func };
  };
}
