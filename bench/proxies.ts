import { type ChildProcess, spawn } from 'node:child_process';
import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { connect } from 'node:net';
import { join, resolve } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';

/** One way from the load to the sink: a proxy on its own port, or none. */
export interface Contender {
  readonly name: string;
  /** Command and arguments; none for the direct connection. */
  command(ports: Ports, directory: string): readonly string[] | undefined;
}

export interface Ports {
  readonly proxy: number;
  readonly sink: number;
}

const PATH = `${process.env.PATH}:/usr/sbin:/sbin`;

function haproxy({ proxy, sink }: Ports, frontend: string, backend: string): string {
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
  bind 127.0.0.1:${proxy}
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

/** The whole program. The sink lives only while it is measured, so probes must not give up on it in between. */
const breakwater = (engine: string): Contender => ({
  name: `breakwater-${engine}`,
  command: ({ proxy, sink }, directory) => {
    const config = {
      proxy: { engine, threads: 1 },
      listeners: [{ url: `mqtt://127.0.0.1:${proxy}`, mode: 'relay' }],
      pools: {
        default: {
          health: { interval: 60, unhealthyThreshold: 10 },
          nodes: [{ id: 'sink', url: `mqtt://127.0.0.1:${sink}` }],
        },
      },
      admin: { url: 'http://127.0.0.1:0' },
      log: { level: 'error' },
    };
    const file = written(directory, `${engine}.yaml`, JSON.stringify(config));
    return [process.execPath, resolve('dist/src/main.js'), 'start', '-c', file];
  },
});

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
  standIn('epoll'),
  standIn('node'),
  breakwater('epoll'),
  breakwater('node'),
];

export interface Running {
  readonly name: string;
  readonly port: number;
  pids(): number[];
  stop(): Promise<void>;
}

/** Starts the contender pinned to a core, and waits until it accepts. */
export async function run(
  contender: Contender,
  ports: Ports,
  directory: string,
  core: number,
): Promise<Running> {
  const command = contender.command(ports, directory);
  if (command === undefined) {
    return { name: contender.name, port: ports.sink, pids: () => [], stop: async () => undefined };
  }
  const child = spawn('taskset', ['-c', String(core), ...command], {
    stdio: 'ignore',
    env: { ...process.env, PATH },
  });
  await accepting(ports.proxy, child);
  return {
    name: contender.name,
    port: ports.proxy,
    pids: () => family(child.pid as number),
    async stop() {
      child.kill('SIGTERM');
      await Promise.race([new Promise((ended) => child.once('close', ended)), sleep(2000)]);
      child.kill('SIGKILL');
    },
  };
}

async function accepting(port: number, child: ChildProcess): Promise<void> {
  for (let tries = 0; tries < 200; tries++) {
    if (child.exitCode !== null) throw new Error(`${child.spawnargs.join(' ')} ended with ${child.exitCode}`);
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
  throw new Error(`nothing accepts on port ${port}`);
}

/** The process and its children (nginx works in one). */
function family(pid: number): number[] {
  const children = readdirSync(`/proc/${pid}/task`).flatMap((thread) =>
    readFileSync(`/proc/${pid}/task/${thread}/children`, 'latin1').split(' ').filter(Boolean).map(Number),
  );
  return [pid, ...children];
}
