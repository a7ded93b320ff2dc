// Loaded into a proxy by `--import`: once a device has sent `die` anywhere, its data thread fails over and over where no
// guard is, until it is given up.
import { isMainThread } from 'node:worker_threads';

if (!isMainThread) {
  const { Connection } = await import('../../dist/src/connection/connection.js');
  const { deviceData } = Connection.prototype;
  Connection.prototype.deviceData = function (bytes, start, end) {
    if (Buffer.from(bytes.subarray(start, end)).includes('die'))
      for (let i = 0; i < 30; i++) void Promise.reject(new Error('put in by a test'));
    return deviceData.call(this, bytes, start, end);
  };
}
