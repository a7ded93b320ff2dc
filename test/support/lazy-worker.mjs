// A worker that begins and does not go on: as `workerData.thread` says, 0: without a word; 1: it listens, leaves what it has and
// does not end.
import { parentPort, workerData } from 'node:worker_threads';

const report = (message) => parentPort.postMessage(message);
parentPort.on('message', ({ type, request }) => {
  if (type !== 'listen') return;
  report({ type: 'listening', request, addresses: [] });
  report({ type: 'left', devices: [], listeners: [] });
});
if (workerData.thread === 1) report({ type: 'ready', wakeFd: undefined });
