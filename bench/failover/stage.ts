import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { adopt } from '../../test/support/children.ts';
import { freePort } from '../../test/support/free-port.ts';
import { processesWith } from './processes.ts';

/** Debian keeps servers in /usr/sbin, which is not in everyone's path. */
const env = { ...process.env, PATH: `${process.env.PATH}:/usr/sbin:/sbin` };
/** Many start at one time, on a machine that may be busy. */
const START_TIMEOUT_MS = 60_000;
const STOP_TIMEOUT_MS = 3_000;

/** One real process, which can be ended and started again at the same address. */
export interface Actor {
  readonly id: string;
  readonly port: number;
  readonly url: string;
  pid(): number;
  output(): string;
  signal(signal: NodeJS.Signals): void;
  /** SIGTERM, then SIGKILL; waits for the end. */
  stop(): Promise<void>;
  start(): Promise<void>;
}

/** The processes of one performance: whatever was started ends with `strike`. */
export class Stage {
  /** Path of Breakwater's program. */
  private readonly main: string;
  private readonly directory = mkdtempSync(join(tmpdir(), 'breakwater-failover-'));
  private readonly actors: Actor[] = [];

  constructor(main: string) {
    this.main = main;
  }

  async redis(): Promise<Actor> {
    const port = await freePort();
    const options = ['--port', `${port}`, '--bind', '127.0.0.1', '--save', '', '--appendonly', 'no'];
    return this.actor('redis', port, ['redis-server', ...options, '--dir', this.directory]);
  }

  /** An embedded broker that shares its sessions over Redis. */
  async aedes(id: string, redis: Actor): Promise<Actor> {
    const port = await freePort();
    const url = `redis://127.0.0.1:${redis.port}`;
    const broker = ['broker', '--listen', `mqtt://127.0.0.1:${port}`, '--redis', url];
    return this.actor(id, port, [process.execPath, this.main, ...broker]);
  }

  /** So many nodes of the stand-in for an EMQX cluster, which share sessions; `env` reaches their processes. */
  async emqx(ids: readonly string[], env: NodeJS.ProcessEnv = {}): Promise<Actor[]> {
    const program = new URL('../bench/failover/emqx/node.js', `file://${this.main}`).pathname;
    const links = await Promise.all(ids.map(async (id) => `${id}=${await freePort()}`));
    return Promise.all(
      ids.map(async (id) => {
        const port = await freePort();
        const options = ['--id', id, '--port', `${port}`, '--cluster', links.join(',')];
        return this.actor(id, port, [process.execPath, program, ...options], env);
      }),
    );
  }

  async mosquitto(id: string): Promise<Actor> {
    const port = await freePort();
    const lines = [
      ...[`listener ${port} 127.0.0.1`, 'allow_anonymous true', 'user root', 'log_type warning'],
      ...['set_tcp_nodelay true', 'max_queued_messages 0', 'persistence false'],
    ];
    return this.actor(id, port, ['mosquitto', '-c', this.written(`${id}.conf`, lines.join('\n'))]);
  }

  /**
   * `breakwater start` in front of the nodes; `pool` is added to its one pool. `configure` lays changes over its file.
   * @param listeners of its configuration, instead of one; the first is on `port`
   */
  async breakwater(
    nodes: readonly Actor[],
    engine: string,
    pool: object = {},
    listeners?: { readonly port: number; readonly all: readonly object[]; readonly limits: object },
  ) {
    const port = listeners?.port ?? (await freePort());
    const adminPort = await freePort();
    const config = {
      proxy: { engine },
      listeners: listeners?.all ?? [{ url: `mqtt://127.0.0.1:${port}`, mode: 'session' }],
      limits: { ...listeners?.limits },
      pools: { default: { nodes: nodes.map(({ id, url }) => ({ id, url })), ...pool } },
      admin: { url: `http://127.0.0.1:${adminPort}` },
      log: { level: 'info', format: 'json' },
    };
    const configure = (changes: object) =>
      this.written('breakwater.yaml', JSON.stringify({ ...config, ...changes }));
    const command = [process.execPath, this.main, 'start', '-c', configure({})];
    const proxy = await this.actor('breakwater', port, command);
    return Object.assign(proxy, { adminUrl: config.admin.url, config, configure });
  }

  async haproxy(nodes: readonly Actor[]): Promise<Actor> {
    const port = await freePort();
    const file = this.written('haproxy.cfg', haproxyConfig(port, nodes));
    return this.actor('haproxy', port, ['haproxy', '-f', file]);
  }

  /** Of a new file. */
  path(name: string): string {
    return join(this.directory, name);
  }

  keepOutput(file: string): void {
    writeFileSync(file, this.actors.map(({ id, output }) => `--- ${id}\n${output()}`).join('\n'));
  }

  async strike(): Promise<void> {
    await Promise.all(this.actors.map((each) => each.stop()));
    for (const pid of processesWith(this.directory)) process.kill(pid, 'SIGKILL'); // that took the place of ours
    rmSync(this.directory, { recursive: true, force: true });
  }

  written(name: string, text: string): string {
    const path = join(this.directory, name);
    writeFileSync(path, text);
    return path;
  }

  /** Starts a process and waits until it accepts at the port. */
  async actor(
    id: string,
    port: number,
    command: readonly string[],
    extraEnv: NodeJS.ProcessEnv = {},
  ): Promise<Actor> {
    const made = createActor(id, port, command, { ...env, ...extraEnv });
    this.actors.push(made);
    await made.start();
    return made;
  }
}

function haproxyConfig(port: number, nodes: readonly Actor[]): string {
  const servers = nodes.map(
    ({ id, port: at }) =>
      `  server ${id} 127.0.0.1:${at} check inter 1s fall 2 rise 2 on-marked-down shutdown-sessions`,
  );
  return `global
  maxconn 9500
defaults
  mode tcp
  timeout connect 3s
  timeout client 1h
  timeout server 1h
  retries 3
  option redispatch
frontend devices
  bind 127.0.0.1:${port}
  default_backend brokers
backend brokers
  balance leastconn
${servers.join('\n')}
`;
}

function createActor(
  id: string,
  port: number,
  [command = '', ...args]: readonly string[],
  env: NodeJS.ProcessEnv,
): Actor {
  let child: ReturnType<typeof spawn> | undefined;
  let text: string[] = [];
  let error = '';
  const isOver = () => child === undefined || child.exitCode !== null || child.signalCode !== null;
  const signal = (name: NodeJS.Signals) => void (isOver() || child?.kill(name));
  return {
    id,
    port,
    url: `mqtt://127.0.0.1:${port}`,
    pid: () => child?.pid ?? 0,
    output: () => text.join(''),
    signal,
    async stop() {
      if (child === undefined || isOver()) return;
      const ended = once(child, 'exit');
      signal('SIGCONT');
      signal('SIGTERM');
      const last = setTimeout(() => signal('SIGKILL'), STOP_TIMEOUT_MS);
      await ended;
      clearTimeout(last);
    },
    async start() {
      text = [];
      child = adopt(spawn(command, args, { env, stdio: ['ignore', 'pipe', 'pipe'] }));
      child.once('error', ({ message }) => {
        error = message;
      });
      for (const stream of [child.stdout, child.stderr])
        stream?.setEncoding('utf8').on('data', (chunk) => text.push(chunk));
      for (const endMs = performance.now() + START_TIMEOUT_MS; !(await accepts(port)); ) {
        if (isOver() || error !== '' || performance.now() > endMs) {
          throw new Error(`${command} ${args.join(' ')} does not accept: ${error}${text.join('')}`);
        }
        await sleep(50);
      }
    },
  };
}

async function accepts(port: number): Promise<boolean> {
  const socket = connect(port, '127.0.0.1');
  const open = await once(socket, 'connect').then(
    () => true,
    () => false,
  );
  socket.destroy();
  return open;
}
