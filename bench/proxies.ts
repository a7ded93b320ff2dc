import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { existsSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { connect } from 'node:net';
import { join, resolve } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import type { EngineName } from '../src/engine/engine.ts';
import { LOAD_CORE, PROXY_CORE } from './plan.ts';

/** One way from the load to the sink: a proxy on its own port, or none. */
export interface Contender {
  readonly name: string;
  /** Command and arguments; none for the direct connection. */
  command(ports: Ports, directory: string): readonly string[] | undefined;
  /** Cores to run on, where it is not the one that all proxies take turns on. */
  readonly cores?: string;
}

export interface Ports {
  readonly proxy: number;
  readonly sink: number;
}

/** Where Debian keeps servers. */
export const searchPath = `${process.env.PATH}:/usr/sbin:/sbin`;

function haproxy({ proxy, sink }: Ports, frontend: string, backend: string, bind = ''): string {
  return `
global
  nbthread 1
  maxconn 9500
defaults
  mode tcp
  timeout connect 5s
  timeout client 1h
  timeout server 1h
frontend mqtt
  bind 127.0.0.1:${proxy} ${bind}
  ${frontend}
  default_backend brokers
backend brokers
  ${backend}
  server sink 127.0.0.1:${sink}
`;
}

/** As in HAProxy's own article on MQTT: the broker is kept by the client identifier of CONNECT. */
const STICKY_FRONTEND = `tcp-request inspect-delay 10s
  tcp-request content reject unless { req.payload(0,0),mqtt_is_valid }`;
const STICKY_BACKEND = `balance leastconn
  stick-table type string len 32 size 100k expire 30m
  stick on req.payload(0,0),mqtt_field_value(connect,client_identifier)`;

function nginx({ proxy, sink }: Ports, directory: string): string {
  return `
load_module /usr/lib/nginx/modules/ngx_stream_module.so;
daemon off;
worker_processes 1;
worker_rlimit_nofile 20000;
pid ${directory}/nginx.pid;
error_log ${directory}/nginx.log crit;
events { worker_connections 19500; }
stream {
  upstream brokers { least_conn; server 127.0.0.1:${sink}; }
  server { listen 127.0.0.1:${proxy} backlog=4096; proxy_pass brokers; proxy_timeout 1h; }
}
`;
}

function written(directory: string, name: string, text: string): string {
  const path = join(directory, name);
  writeFileSync(path, text);
  return path;
}

const standIn = (engine: string): Contender => ({
  name: `engine-${engine}`,
  command: ({ proxy, sink }) => [
    process.execPath,
    resolve('dist/bench/stand-in.js'),
    `--engine=${engine}`,
    `--port=${proxy}`,
    `--node=${sink}`,
  ],
});

/** It cannot take MQTT out of WebSocket, so its node speaks that too. */
function haproxyHttp({ proxy, sink }: Ports): string {
  const tcp = haproxy({ proxy, sink }, '', 'balance leastconn');
  return tcp.replace('mode tcp', 'mode http\n  timeout http-request 5s\n  timeout tunnel 1h');
}

type Key = 'P-256' | 'RSA-8192';

interface Variant {
  readonly engine?: EngineName;
  readonly threads?: number;
  readonly mode?: 'relay' | 'session';
  /** Terminated, with a key of this kind. */
  readonly tls?: Key;
  /** Who seals TLS records behind the handshake. */
  readonly records?: 'own' | 'openssl';
  readonly websocket?: boolean;
  /** Tells how much memory its objects take. */
  readonly weighed?: boolean;
}

/** The whole program. The sink comes after the proxy, so probes must not give up on it before. */
function breakwater(name: string, variant: Variant = {}, cores?: string): Contender {
  const { engine = 'epoll', threads = 1, mode = 'relay', tls, websocket = false } = variant;
  const { records = 'own' } = variant;
  const probe = variant.weighed ? ['--expose-gc', '--import', resolve('dist/bench/heap-probe.js')] : [];
  return {
    name: `breakwater-${name}`,
    ...(cores !== undefined && { cores }),
    command: ({ proxy, sink }, directory) => {
      const url = `${websocket ? 'ws' : tls ? 'mqtts' : 'mqtt'}://127.0.0.1:${proxy}`;
      const config = {
        proxy: { engine, threads },
        listeners: [{ url, mode, ...(tls && { tls: { ...certificate(directory, tls), records } }) }],
        pools: {
          default: {
            health: { interval: 60, unhealthyThreshold: 10 },
            nodes: [{ id: 'sink', url: `mqtt://127.0.0.1:${sink}` }],
          },
        },
        admin: { url: 'http://127.0.0.1:0' },
        log: { level: 'error' },
      };
      const file = written(directory, `${name}.yaml`, JSON.stringify(config));
      return [process.execPath, ...probe, resolve('dist/breakwater/main.js'), 'start', '-c', file];
    },
  };
}

/** A key and its self-signed certificate, made once. */
function certificate(directory: string, kind: Key): { readonly cert: string; readonly key: string } {
  const cert = join(directory, `${kind}.crt`);
  const key = join(directory, `${kind}.key`);
  if (!existsSync(cert)) {
    const kinds = { 'P-256': 'ec -pkeyopt ec_paramgen_curve:P-256', 'RSA-8192': 'rsa:8192' };
    const make = `req -x509 -newkey ${kinds[kind]} -nodes -days 30 -subj /CN=localhost`;
    execFileSync('openssl', [...make.split(' '), '-keyout', key, '-out', cert], { stdio: 'ignore' });
  }
  return { cert, key };
}

/** HAProxy wants the certificate and its key in one file. */
function bundle(directory: string): string {
  const { cert, key } = certificate(directory, 'P-256');
  return written(directory, 'proxy.pem', readFileSync(cert, 'latin1') + readFileSync(key, 'latin1'));
}

export const contenders: readonly Contender[] = [
  { name: 'direct', command: () => undefined },
  {
    name: 'haproxy',
    command: (ports, directory) => [
      'haproxy',
      '-f',
      written(directory, 'plain.cfg', haproxy(ports, '', 'balance leastconn')),
    ],
  },
  {
    name: 'haproxy-mqtt',
    command: (ports, directory) => [
      'haproxy',
      '-f',
      written(directory, 'sticky.cfg', haproxy(ports, STICKY_FRONTEND, STICKY_BACKEND)),
    ],
  },
  {
    name: 'nginx',
    command: (ports, directory) => ['nginx', '-c', written(directory, 'nginx.conf', nginx(ports, directory))],
  },
  {
    name: 'haproxy-tls',
    command: (ports, directory) => [
      'haproxy',
      '-f',
      written(
        directory,
        'tls.cfg',
        haproxy(ports, '', 'balance leastconn', `ssl crt ${bundle(directory)} alpn mqtt`),
      ),
    ],
  },
  standIn('uring'),
  standIn('epoll'),
  standIn('node'),
  breakwater('uring', { engine: 'uring' }),
  breakwater('epoll'),
  breakwater('node', { engine: 'node' }),
  breakwater('session', { mode: 'session' }),
  breakwater('weighed', { weighed: true }),
  breakwater('weighed-session', { weighed: true, mode: 'session' }),
  breakwater('uring-session', { engine: 'uring', mode: 'session' }),
  breakwater('tls', { tls: 'P-256' }),
  breakwater('tls-openssl', { tls: 'P-256', records: 'openssl' }),
  breakwater('tls-node', { tls: 'P-256', engine: 'node' }),
  breakwater('1-thread', { tls: 'RSA-8192' }),
  breakwater('2-threads', { tls: 'RSA-8192', threads: 2 }, `${PROXY_CORE},${LOAD_CORE}`),
  {
    name: 'haproxy-ws',
    command: (ports, directory) => ['haproxy', '-f', written(directory, 'ws.cfg', haproxyHttp(ports))],
  },
  breakwater('ws', { websocket: true }),
  breakwater('ws-node', { websocket: true, engine: 'node' }),
  breakwater('ws-session', { websocket: true, mode: 'session' }),
];

export interface Running {
  readonly port: number;
  pids(): number[];
  stop(): Promise<void>;
}

/** Says in one line why a contender cannot take part. */
export class CannotRun extends Error {}

/**
 * Starts the contender pinned to a core, and waits until it accepts.
 * @throws CannotRun where its program is missing or refuses the configuration
 */
export async function run(contender: Contender, ports: Ports, directory: string): Promise<Running> {
  const command = contender.command(ports, directory);
  if (command === undefined) {
    return { port: ports.sink, pids: () => [], stop: async () => undefined };
  }
  const child = spawn('taskset', ['-c', contender.cores ?? String(PROXY_CORE), ...command], {
    stdio: ['ignore', 'ignore', 'pipe'],
    env: { ...process.env, PATH: searchPath },
  });
  const ended = new Promise((done) => child.once('close', done));
  const stop = async (): Promise<void> => {
    child.kill('SIGTERM');
    await Promise.race([ended, sleep(2000)]);
    child.kill('SIGKILL');
    await ended;
  };
  try {
    await accepting(contender.name, ports.proxy, child);
  } catch (error) {
    await stop();
    throw error;
  }
  return { port: ports.proxy, pids: () => family(child.pid as number), stop };
}

async function accepting(name: string, port: number, child: ChildProcess): Promise<void> {
  let said = '';
  child.stderr?.on('data', (text) => {
    if (said.length < 2000) said += text;
  });
  for (let tries = 0; tries < 200; tries++) {
    if (child.exitCode !== null) {
      await sleep(50); // for its last words
      throw new CannotRun(`${name} does not start: ${said.trim().replaceAll(/\s*\n\s*/g, '; ')}`);
    }
    const open = await new Promise<boolean>((done) => {
      const socket = connect(port, '127.0.0.1', () => {
        socket.destroy();
        done(true);
      });
      socket.once('error', () => done(false));
    });
    if (open) return;
    await sleep(50);
  }
  throw new CannotRun(`${name} does not accept on port ${port}`);
}

/** The process and its children (nginx works in one). */
function family(pid: number): number[] {
  const children = readdirSync(`/proc/${pid}/task`).flatMap((thread) =>
    readFileSync(`/proc/${pid}/task/${thread}/children`, 'latin1').split(' ').filter(Boolean).map(Number),
  );
  return [pid, ...children];
}
