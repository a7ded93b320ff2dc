import { parentPort, workerData } from 'node:worker_threads';
import { messageOf } from '../base/errors.ts';
import { parseConfig } from '../config/load.ts';
import { ConfigError } from '../config/problems.ts';
import type { ParseAnswer, ParseOrder } from './parse-config.ts';

/** The Worker of `parse-config.ts`: reads one configuration, and ends. */
const { text, fileName, flags } = workerData as ParseOrder;

function answer(): ParseAnswer {
  try {
    return { kind: 'read', config: parseConfig(text, fileName, flags) };
  } catch (error) {
    if (!(error instanceof ConfigError)) return { kind: 'failed', message: messageOf(error) };
    return { kind: 'wrong', problems: error.problems, more: error.more };
  }
}

parentPort?.postMessage(answer());
