import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { main as built } from './cli.ts';
import type { Spawned } from './process.ts';
import { start, temporaryDirectory } from './process.ts';
import { until } from './wait.ts';

export interface Breakwater extends Omit<Spawned, 'child'> {
  /** `mqtt://127.0.0.1:port` of the first listener. */
  readonly url: string;
  /** Port of the first listener. */
  readonly port: number;
  /** Ports of all listeners. */
  readonly ports: readonly number[];
  readonly adminUrl: string;
  /** The configuration file. */
  readonly file: string;
  /** Writes the configuration file anew; what it does not say is as at the start. */
  rewrite(config: object): void;
  /** The same with a text that is no configuration. */
  rewriteText(text: string): void;
  /** Log lines so far. */
  logs(): LogLine[];
  /** The admin API's answer to `GET /api/v1/path`, or to what `init` says; throws unless it is 2xx. */
  api<T = unknown>(path: string, init?: { method: string; body?: object }): Promise<T>;
}

/** On a machine that is busy a process takes its time to begin. */
const START_MS = 60_000;

export interface LogLine {
  readonly msg: string;
  readonly level: string;
  readonly [field: string]: unknown;
}

/**
 * Runs `breakwater start -c FILE` with this configuration; what it does not say is: one listener and the admin API on
 * free ports of the loopback, log in JSON.
 * @param wrap what goes before the command
 * @param main the program
 * @param node the Node.js that runs it
 */
export async function startBreakwater(
  config: object,
  args: readonly string[] = [],
  env: NodeJS.ProcessEnv = {},
  wrap: readonly string[] = [],
  main = built,
  node = process.execPath,
): Promise<Breakwater> {
  const file = join(temporaryDirectory(), 'breakwater.yaml');
  const defaults = {
    listeners: [{ url: 'mqtt://127.0.0.1:0' }],
    admin: { url: 'http://127.0.0.1:0' },
    log: { level: 'info', format: 'json' },
  };
  const write = (text: string) => writeFileSync(file, text);
  const rewrite = (said: object) => write(JSON.stringify({ ...defaults, ...said })); // YAML holds JSON
  rewrite(config);
  const [program = '', ...rest] = [...wrap, node, main, 'start', '-c', file, ...args];
  const server = start(program, rest, env);

  let ended: number | string | undefined;
  server.exited.then((code) => {
    ended = code;
  });
  const logs = readLog(server.output);
  const wanted: Record<string, number> = {
    'admin listening': 1,
    listening: ('listeners' in config ? (config.listeners as object[]) : defaults.listeners).length,
  };
  const told = (msg: string) =>
    until(
      () => {
        if (ended !== undefined) throw new Error(`breakwater ended (${ended}): ${server.output()}`);
        const lines = logs().filter((line) => line.msg === msg);
        return lines.length === wanted[msg] && lines.map((line) => String(line.url));
      },
      `the log to say '${msg}'`,
      START_MS,
    );
  const urls = await told('listening');
  const [adminUrl = ''] = await told('admin listening');
  const ports = urls.map((url) => Number(new URL(url).port));
  return {
    ...server,
    url: urls[0] ?? '',
    port: ports[0] ?? 0,
    ports,
    adminUrl,
    file,
    rewrite,
    rewriteText: write,
    logs,
    api: (path, init) => request(`${adminUrl}/api/v1/${path}`, init),
  };
}

/** All lines so far; each is parsed once. */
function readLog(output: () => string): () => LogLine[] {
  const lines: LogLine[] = [];
  let at = 0;
  return () => {
    const text = output();
    const end = text.lastIndexOf('\n') + 1;
    lines.push(...text.slice(at, end).split('\n').flatMap(parse));
    at = end;
    return [...lines];
  };
}

function parse(line: string): LogLine[] {
  return line.startsWith('{') && line.endsWith('}') ? [JSON.parse(line) as LogLine] : [];
}

async function request<T>(url: string, init?: { method: string; body?: object }): Promise<T> {
  const response = await fetch(url, {
    method: init?.method ?? 'GET',
    ...(init?.body && { body: JSON.stringify(init.body), headers: { 'content-type': 'application/json' } }),
  });
  const text = await response.text();
  if (!response.ok) throw new Error(`${init?.method ?? 'GET'} ${url}: ${response.status} ${text}`);
  return (text === '' ? undefined : JSON.parse(text)) as T;
}
