// Loaded into a proxy by `--import`: once there is a file at the path in DIE_AT, its threads fail over and over where no
// guard is, until they are given up. Those that are started later live.
import { existsSync } from 'node:fs';
import { isMainThread } from 'node:worker_threads';

const { DIE_AT } = process.env;
if (!isMainThread && !existsSync(DIE_AT)) {
  setInterval(() => {
    if (!existsSync(DIE_AT)) return;
    for (let i = 0; i < 30; i++) void Promise.reject(new Error('put in by a test'));
  }, 50).unref();
}
