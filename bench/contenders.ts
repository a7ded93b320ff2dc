import { execFileSync } from 'node:child_process';
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import type { EngineName } from '../src/engine/engine.ts';
import { LOAD_CORE, PROXY_CORE } from './plan.ts';
import type { Contender, Ports } from './proxies.ts';

/**
 * Who is compared, and how each is configured: as its administrator would for this task, with one thread (or as many as
 * the name says), nothing logged but errors, and the same bounds.
 */

/** From here nobody may connect, where refusals are measured. */
export const REFUSED_SOURCE = '127.0.0.2';
const BOTH_CORES = `${PROXY_CORE},${LOAD_CORE}`;
/** Connections that any of them takes: two descriptors each of the 20,000 that a process commonly has. */
const MAX_CONNECTIONS = 9500;

interface HaproxySettings {
  readonly threads?: number;
  /** What stands behind the address of `bind`. */
  readonly bind?: string;
  readonly mode?: 'tcp' | 'http';
  readonly defaults?: string;
  /** Where it needs descriptors for something else. */
  readonly maxConnections?: number;
  readonly frontend?: string;
  readonly backend?: string;
}

function haproxy(
  name: string,
  settings: HaproxySettings | ((directory: string) => HaproxySettings) = {},
): Contender {
  return {
    name,
    ...((settings as HaproxySettings).threads !== undefined && { cores: BOTH_CORES }),
    command(ports, directory) {
      const chosen = typeof settings === 'function' ? settings(directory) : settings;
      return ['haproxy', '-f', written(directory, `${name}.cfg`, haproxyConfig(ports, chosen))];
    },
  };
}

function haproxyConfig({ proxy, sink }: Ports, settings: HaproxySettings): string {
  const { threads = 1, bind = '', mode = 'tcp', defaults = '', frontend = '' } = settings;
  const { maxConnections = MAX_CONNECTIONS } = settings;
  const { backend = 'balance leastconn' } = settings;
  return `
global
  nbthread ${threads}
  maxconn ${maxConnections}
defaults
  mode ${mode}
  ${defaults}
  timeout connect 5s
  timeout client 1h
  timeout server 1h
frontend devices
  bind 127.0.0.1:${proxy} ${bind}
  ${frontend}
  default_backend brokers
backend brokers
  ${backend}
  server sink 127.0.0.1:${sink}
`;
}

/** As in HAProxy's own article on MQTT: the broker is kept by the client identifier of CONNECT. */
const STICKY: HaproxySettings = {
  frontend: `tcp-request inspect-delay 10s
  tcp-request content reject unless { req.payload(0,0),mqtt_is_valid }`,
  backend: `balance leastconn
  stick-table type string len 32 size 100k expire 30m
  stick on req.payload(0,0),mqtt_field_value(connect,client_identifier)`,
};

function haproxyTls(name: string, key: Key): Contender {
  return haproxy(name, (directory) => ({ bind: `ssl crt ${bundle(directory, key)} alpn mqtt` }));
}

interface NginxSettings {
  readonly module?: 'stream' | 'http';
  /** Inside of `server`. */
  readonly server?: string;
}

function nginx(name: string, { module = 'stream', server = '' }: NginxSettings = {}): Contender {
  return {
    name,
    command(ports, directory) {
      const body = module === 'stream' ? nginxStream(ports, server) : nginxHttp(ports);
      const text = `
${module === 'stream' ? 'load_module /usr/lib/nginx/modules/ngx_stream_module.so;' : ''}
daemon off;
worker_processes 1;
worker_rlimit_nofile 20000;
pid ${directory}/${name}.pid;
error_log ${directory}/${name}.log crit;
events { worker_connections 19500; }
${body}`;
      return ['nginx', '-c', written(directory, `${name}.conf`, text)];
    },
  };
}

function nginxStream({ proxy, sink }: Ports, server: string): string {
  return `stream {
  upstream brokers { least_conn; server 127.0.0.1:${sink}; }
  server { listen 127.0.0.1:${proxy} backlog=4096; proxy_pass brokers; proxy_timeout 1h; ${server} }
}
`;
}

/** Connections are kept on both sides, as nobody else here counts requests on them. */
function nginxHttp({ proxy, sink }: Ports): string {
  return `http {
  access_log off;
  keepalive_requests 1000000000;
  upstream nodes { server 127.0.0.1:${sink}; keepalive 64; keepalive_requests 1000000000; }
  server {
    listen 127.0.0.1:${proxy} backlog=4096;
    location / {
      proxy_pass http://nodes;
      proxy_http_version 1.1;
      proxy_set_header Connection "";
      proxy_set_header Host $host;
      proxy_set_header X-Forwarded-For $proxy_add_x_forwarded_for;
      proxy_set_header X-Forwarded-Proto $scheme;
    }
  }
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

type Key = 'P-256' | 'RSA-2048' | 'RSA-8192';

interface Variant {
  readonly engine?: EngineName;
  /** With both cores. */
  readonly threads?: number;
  readonly mode?: 'relay' | 'session';
  /** Terminated, with a key of this kind. */
  readonly tls?: Key;
  /** Who seals TLS records behind the handshake. */
  readonly records?: 'own' | 'openssl';
  /** What devices speak, where it is not MQTT over TCP. */
  readonly scheme?: 'ws' | 'http';
  /** Refuses REFUSED_SOURCE. */
  readonly denies?: boolean;
  /** Tells how much memory its objects take. */
  readonly weighed?: boolean;
}

/** The whole program. The sink comes after the proxy, so probes must not give up on it before. */
function breakwater(name: string, variant: Variant = {}): Contender {
  const { engine = 'epoll', threads, mode = 'relay', tls, scheme, records = 'own' } = variant;
  const probe = variant.weighed ? ['--expose-gc', '--import', resolve('dist/bench/heap-probe.js')] : [];
  return {
    name: `breakwater-${name}`,
    ...(threads !== undefined && { cores: BOTH_CORES }),
    command: ({ proxy, sink }, directory) => {
      const url = `${scheme ?? (tls ? 'mqtts' : 'mqtt')}://127.0.0.1:${proxy}`;
      const config = {
        proxy: { engine, threads: threads ?? 1 },
        listeners: [{ url, mode, ...(tls && { tls: { ...certificate(directory, tls), records } }) }],
        pools: {
          default: {
            health: { interval: 60, unhealthyThreshold: 10 },
            nodes: [{ id: 'sink', url: `${scheme === 'http' ? 'http' : 'mqtt'}://127.0.0.1:${sink}` }],
          },
        },
        ...(variant.denies && { limits: { deny: [REFUSED_SOURCE], refusalsTold: 0 } }),
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
    const algorithm = kind === 'P-256' ? 'ec -pkeyopt ec_paramgen_curve:P-256' : kind.replace('RSA-', 'rsa:');
    const make = `req -x509 -newkey ${algorithm} -nodes -days 30 -subj /CN=localhost`;
    execFileSync('openssl', [...make.split(' '), '-keyout', key, '-out', cert], { stdio: 'ignore' });
  }
  return { cert, key };
}

/** HAProxy wants the certificate and its key in one file. */
function bundle(directory: string, kind: Key): string {
  const { cert, key } = certificate(directory, kind);
  return written(directory, `${kind}.pem`, readFileSync(cert, 'latin1') + readFileSync(key, 'latin1'));
}

export const contenders: readonly Contender[] = [
  { name: 'direct', command: () => undefined },
  haproxy('haproxy'),
  haproxy('haproxy-mqtt', STICKY),
  haproxy('haproxy-splice', { defaults: 'option splice-auto', maxConnections: 1000 }),
  haproxy('haproxy-deny', { frontend: `tcp-request connection reject if { src ${REFUSED_SOURCE} }` }),
  haproxy('haproxy-1-thread', { threads: 1 }),
  haproxy('haproxy-2-threads', { threads: 2 }),
  haproxyTls('haproxy-tls', 'P-256'),
  haproxyTls('haproxy-tls-rsa', 'RSA-2048'),
  // It cannot take MQTT out of WebSocket, so its node speaks that too.
  haproxy('haproxy-ws', { mode: 'http', defaults: 'timeout http-request 5s\n  timeout tunnel 1h' }),
  haproxy('haproxy-http', {
    mode: 'http',
    defaults: 'timeout http-request 5s\n  timeout http-keep-alive 1m\n  option forwardfor',
  }),
  nginx('nginx'),
  nginx('nginx-deny', { server: `deny ${REFUSED_SOURCE}; allow all;` }),
  nginx('nginx-http', { module: 'http' }),
  standIn('uring'),
  standIn('epoll'),
  standIn('node'),
  breakwater('uring', { engine: 'uring' }),
  breakwater('epoll'),
  breakwater('node', { engine: 'node' }),
  breakwater('session', { mode: 'session' }),
  breakwater('uring-session', { engine: 'uring', mode: 'session' }),
  breakwater('weighed', { weighed: true }),
  breakwater('weighed-session', { weighed: true, mode: 'session' }),
  breakwater('uring-deny', { engine: 'uring', denies: true }),
  breakwater('epoll-deny', { denies: true }),
  breakwater('node-deny', { engine: 'node', denies: true }),
  breakwater('uring-1-thread', { engine: 'uring', threads: 1 }),
  breakwater('uring-2-threads', { engine: 'uring', threads: 2 }),
  breakwater('epoll-1-thread', { threads: 1 }),
  breakwater('epoll-2-threads', { threads: 2 }),
  breakwater('tls', { tls: 'P-256' }),
  breakwater('tls-uring', { tls: 'P-256', engine: 'uring' }),
  breakwater('tls-node', { tls: 'P-256', engine: 'node' }),
  breakwater('tls-openssl', { tls: 'P-256', records: 'openssl' }),
  breakwater('tls-rsa', { tls: 'RSA-2048' }),
  breakwater('tls-rsa-uring', { tls: 'RSA-2048', engine: 'uring' }),
  breakwater('tls-1-thread', { tls: 'RSA-8192', threads: 1 }),
  breakwater('tls-2-threads', { tls: 'RSA-8192', threads: 2 }),
  breakwater('ws', { scheme: 'ws' }),
  breakwater('ws-node', { scheme: 'ws', engine: 'node' }),
  breakwater('ws-session', { scheme: 'ws', mode: 'session' }),
  breakwater('http', { scheme: 'http' }),
  {
    name: 'node-http',
    command: ({ proxy, sink }) => [
      process.execPath,
      resolve('dist/bench/bare-http.js'),
      String(proxy),
      String(sink),
    ],
  },
];
