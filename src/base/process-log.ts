/** Opens the log of the whole process on standard output. */

import { constants, openSync, write, writeSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { isatty } from 'node:tty';
import { createLog, type LogFormat, type LogLevel, type RootLog } from './log.ts';
import { type ByteSink, type LogLoss, LogOutput } from './log-output.ts';

const STANDARD_OUTPUT = 1;
/** How long the last lines wait for their reader. */
const FLUSH_MS = 300;

/** The log of the process, and the fate of its lines. */
interface ProcessLog {
  readonly log: RootLog;
  /** Lines that were lost since the start, because standard output did not take them. */
  dropped(): number;
  /** What is lost at present. */
  loss(): LogLoss | undefined;
  /** Resolves when every line is written or lost, and soon in any case. */
  flush(): Promise<void>;
}

/** The log on standard output, which may be slow, full or gone: nothing waits for it, and nothing dies of it. */
export function openProcessLog(options: {
  readonly level: LogLevel;
  readonly format: LogFormat;
}): ProcessLog {
  const output = new LogOutput({
    sink: standardOutput(),
    setTimeout: (run, ms) => void setTimeout(run, ms).unref(),
    onRecovered: (dropped, reason) => log.error({ dropped, reason }, 'log lines dropped'),
  });
  const log = createLog({ ...options, sink: output, colour: isatty(STANDARD_OUTPUT) });
  process.on('exit', () => output.end());
  return {
    log,
    dropped: () => output.dropped,
    loss: () => output.loss,
    async flush() {
      const stopWaiting = new AbortController();
      const late = sleep(FLUSH_MS, undefined, { signal: stopWaiting.signal }).catch(() => undefined);
      await Promise.race([output.flushed(), late]);
      stopWaiting.abort();
    },
  };
}

/**
 * Node opens the pipe or socket of `process.stdout` without blocking, for all who hold it, when that is first looked at. A
 * terminal is opened anew, because a shell shares its own with us; one that is held (Ctrl-S) would stop a thread of Node's pool.
 */
function standardOutput(): ByteSink {
  const fd = process.stdout.isTTY === true ? openTerminal() : STANDARD_OUTPUT;
  return {
    write: (bytes, done) => write(fd, bytes, 0, bytes.length, null, done),
    writeNow: (bytes) => writeSync(fd, bytes),
  };
}

function openTerminal(): number {
  try {
    const { O_WRONLY, O_NONBLOCK, O_NOCTTY } = constants;
    return openSync(`/proc/self/fd/${STANDARD_OUTPUT}`, O_WRONLY | O_NONBLOCK | O_NOCTTY);
  } catch {
    return STANDARD_OUTPUT; // another system than Linux
  }
}
