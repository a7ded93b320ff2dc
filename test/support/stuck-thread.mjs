// Loaded into a proxy by `--import`: once a device has sent `stick` anywhere, its data thread does not come back from it
// before there is a file at the path in STICK_UNTIL.
import { existsSync } from 'node:fs';
import { isMainThread } from 'node:worker_threads';

if (!isMainThread) {
  const { Connection } = await import('../../dist/src/connection/connection.js');
  const { deviceData } = Connection.prototype;
  const never = new Int32Array(new SharedArrayBuffer(4));
  Connection.prototype.deviceData = function (bytes, start, end) {
    const isStuck = Buffer.from(bytes.subarray(start, end)).includes('stick');
    while (isStuck && !existsSync(process.env.STICK_UNTIL)) Atomics.wait(never, 0, 0, 20);
    return deviceData.call(this, bytes, start, end);
  };
}
