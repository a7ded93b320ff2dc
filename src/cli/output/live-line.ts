import { printable } from '../../base/printable.ts';
import { cutTo } from './width.ts';

/**
 * One line at the bottom of a terminal that is overwritten in place, with ordinary lines above it. Where the output is
 * not a terminal, the live line is printed anew now and then instead.
 */
export interface LiveLine {
  /** An ordinary line. */
  print(line: string): void;
  /** The new state of the live line. */
  update(line: string): void;
  /** Leaves the live line as it stands. */
  end(): void;
}

/** Where the output is a file or a pipe, the live line is printed at most so often. */
const PLAIN_INTERVAL_MS = 5_000;

interface Output {
  readonly isTTY?: boolean;
  readonly columns?: number;
  write(text: string): unknown;
}

export function liveLine(
  output: Output,
  nowMs: () => number,
  plainIntervalMs: number = PLAIN_INTERVAL_MS,
): LiveLine {
  const clear = '\r\u001b[2K';
  let live = '';
  let printedMs = Number.NEGATIVE_INFINITY;
  const cut = (line: string) => cutTo(line, (output.columns ?? 80) - 1); // a wrapped line cannot be overwritten
  return {
    print(line) {
      const shown = printable(line);
      output.write(live === '' ? `${shown}\n` : `${clear}${shown}\n${cut(live)}`);
    },
    update(line) {
      if (output.isTTY) {
        live = printable(line);
        output.write(clear + cut(live));
      } else if (nowMs() - printedMs >= plainIntervalMs) {
        printedMs = nowMs();
        output.write(`${printable(line)}\n`);
      }
    },
    end() {
      if (live !== '') output.write('\n');
      live = '';
    },
  };
}
