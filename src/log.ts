import { type DestinationStream, pino } from 'pino';

/** A message, or fields and a message. */
export interface LogLine {
  (message: string): void;
  (fields: Record<string, unknown>, message: string): void;
}

/** The least that a part of Breakwater needs to log; pino's logger is one. */
export interface Log {
  readonly debug: LogLine;
  readonly info: LogLine;
  readonly warn: LogLine;
  readonly error: LogLine;
  /** A log that adds these fields to every line. */
  child(fields: Record<string, unknown>): Log;
}

export const logLevels = ['debug', 'info', 'warn', 'error', 'silent'] as const;
export type LogLevel = (typeof logLevels)[number];
export const logFormats = ['json', 'pretty'] as const;
export type LogFormat = (typeof logFormats)[number];

/** The log of the whole program, whose level may change while it runs. */
export interface RootLog extends Log {
  level: string;
}

export interface LogOptions {
  readonly level: LogLevel;
  readonly format: LogFormat;
  /** Where whole lines go; standard output when absent. */
  readonly sink?: { write(line: string): void };
  /** Colour in `pretty`; absent: when standard output is a terminal. */
  readonly colour?: boolean;
}

/** Bytes of log that may wait for a slow reader of standard output before lines are dropped, and counted. */
const MAX_WAITING_BYTES = 4 * 1024 * 1024;
const SECRET_FIELDS = ['token', 'password', 'authorization', 'secret'];

/** A log to standard output, one line a message: JSON for machines, `pretty` for a person at a terminal. */
export function createLog(options: LogOptions): RootLog {
  const sink =
    options.sink ?? standardOutput((dropped) => log.warn({ dropped }, 'log lines dropped: output too slow'));
  const colour = options.colour ?? process.stdout.isTTY === true;
  const shape =
    options.format === 'pretty' ? (line: string) => formatPretty(line, colour) : (line: string) => line;
  const log: RootLog = pino(
    {
      level: options.level,
      base: null,
      timestamp: pino.stdTimeFunctions.isoTime,
      formatters: { level: (label) => ({ level: label }) },
      redact: {
        paths: SECRET_FIELDS.flatMap((field) => [field, `*.${field}`, `*.*.${field}`]),
        censor: '[redacted]',
      },
    },
    { write: (line: string) => sink.write(shape(withoutCredentials(line))) },
  );
  return log;
}

/** A URL as it may be shown: without user name and password. */
export function redactUrl(url: string): string {
  // An unreadable URL may hold a raw `/` in its password: then everything up to the last `@` goes.
  return URL.canParse(url) ? url.replace(/:\/\/[^/?#]*@/, '://') : url.replace(/:\/\/.*@/s, '://');
}

/** The same for URLs anywhere in a line: fields, messages, stacks. Linear in the line's length. */
function withoutCredentials(line: string): string {
  return line.includes('@') ? line.replace(/:\/\/[^\s/"\\]*@/g, '://') : line;
}

/** Asynchronous, so that a stalled reader never blocks the proxy; bounded, and what is dropped is told. */
function standardOutput(onDropped: (lines: number) => void): DestinationStream {
  const destination = pino.destination({ dest: 1, sync: false, maxLength: MAX_WAITING_BYTES });
  let dropped = 0;
  destination.on('drop', () => {
    dropped += 1;
  });
  destination.on('drain', () => {
    if (dropped === 0) return;
    const lines = dropped;
    dropped = 0;
    onDropped(lines);
  });
  return destination;
}

const colours: Record<string, string> = { debug: '90', info: '32', warn: '33', error: '31' };

/** `12:34:56.789 INFO  message key=value …`, from pino's JSON line. */
export function formatPretty(line: string, colour: boolean): string {
  const { time, level, msg, ...fields } = JSON.parse(line) as Record<string, unknown>;
  const paint = (code: string, text: string) => (colour ? `\u001b[${code}m${text}\u001b[0m` : text);
  const head = [
    paint('90', String(time).slice(11, 23)),
    paint(colours[String(level)] ?? '0', String(level).toUpperCase().padEnd(5)),
    printable(String(msg ?? '')),
  ];
  const stack = stackOf(fields.err);
  const tail = Object.entries(fields)
    .filter(([key]) => key !== 'err')
    .map(([key, value]) => `${paint('90', `${key}=`)}${valueText(value)}`);
  return `${[...head, ...tail].join(' ')}\n${stack}`;
}

function valueText(value: unknown): string {
  const text = typeof value === 'string' ? value : JSON.stringify(value);
  return text === '' || /[\s"=]/.test(text) ? printable(JSON.stringify(value)) : printable(text);
}

/** Control characters, line separators and what turns the direction of text. */
const UNPRINTABLE = /[\p{Cc}\u2028-\u202e\u2066-\u2069]/gu;

/** Client ids are chosen by devices: nothing that steers a terminal may get there. */
function printable(text: string): string {
  return text.replace(UNPRINTABLE, (c) => `\\u${c.charCodeAt(0).toString(16).padStart(4, '0')}`);
}

function stackOf(err: unknown): string {
  if (typeof err !== 'object' || err === null || !('stack' in err)) return '';
  return `${String(err.stack)
    .split('\n')
    .map((frame) => `    ${printable(frame)}`)
    .join('\n')}\n`;
}
