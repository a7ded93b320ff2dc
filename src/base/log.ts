import { pino } from 'pino';
import { printable } from './printable.ts';

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

const logLevels = ['debug', 'info', 'warn', 'error', 'silent'] as const;
export type LogLevel = (typeof logLevels)[number];
const logFormats = ['json', 'pretty'] as const;
export type LogFormat = (typeof logFormats)[number];

/** The log of the whole program, whose level may change while it runs. */
export interface RootLog extends Log {
  level: string;
}

interface LogOptions {
  readonly level: LogLevel;
  readonly format: LogFormat;
  /** Where whole lines go. */
  readonly sink: { write(line: string): void };
  /** In `pretty`. */
  readonly colour?: boolean;
}

/**
 * Characters of one field. Client ids have up to 65,535 bytes [MQTT-1.5.4], each of which JSON may write as six; those that
 * are in use have some dozens.
 */
const MAX_FIELD_CHARACTERS = 1024;
/** Of ours, not of devices: a whole stack has some kilobytes. */
const MAX_STACK_CHARACTERS = 8192;
/** How deep fields within fields are looked for. */
const MAX_DEPTH = 4;
const SECRET_FIELDS = ['token', 'password', 'authorization', 'secret'];

/** A log of one line a message: JSON for machines, `pretty` for a person at a terminal. */
export function createLog(options: LogOptions): RootLog {
  const { sink, colour = false } = options;
  const shape =
    options.format === 'pretty' ? (line: string) => formatPretty(line, colour) : (line: string) => line;
  return pino(
    {
      level: options.level,
      base: null,
      timestamp: pino.stdTimeFunctions.isoTime,
      formatters: { level: (label) => ({ level: label }), log: cutFields },
      redact: {
        paths: SECRET_FIELDS.flatMap((field) => [field, `*.${field}`, `*.*.${field}`]),
        censor: '[redacted]',
      },
    },
    { write: (line: string) => sink.write(shape(`${printable(withoutCredentials(line.trimEnd()))}\n`)) },
  );
}

/** The fields with every text at most so long: what a device chose may not fill the disk. */
function cutFields(fields: Record<string, unknown>): Record<string, unknown> {
  return cutWithin(fields, MAX_DEPTH) as Record<string, unknown>;
}

/** The value itself where nothing in it is too long. */
function cut(value: unknown, key: string, depth: number): unknown {
  if (typeof value === 'string') {
    const most = key === 'stack' ? MAX_STACK_CHARACTERS : MAX_FIELD_CHARACTERS;
    return value.length <= most ? value : `${value.slice(0, most)}… (${value.length} characters)`;
  }
  if (typeof value !== 'object' || value === null || value instanceof Error || depth === 0) return value;
  return cutWithin(value, depth);
}

function cutWithin(whole: object, depth: number): object {
  let result = whole;
  for (const [key, value] of Object.entries(whole)) {
    const shorter = cut(value, key, depth - 1);
    if (shorter === value) continue;
    if (result === whole) result = Array.isArray(whole) ? [...whole] : { ...whole };
    (result as Record<string, unknown>)[key] = shorter;
  }
  return result;
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

function stackOf(err: unknown): string {
  if (typeof err !== 'object' || err === null || !('stack' in err)) return '';
  return `${String(err.stack)
    .split('\n')
    .map((frame) => `    ${printable(frame)}`)
    .join('\n')}\n`;
}
