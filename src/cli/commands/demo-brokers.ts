import { type ChildProcess, fork } from 'node:child_process';
import { once } from 'node:events';
import { setTimeout as sleep } from 'node:timers/promises';
import { inMemoryCluster } from '../../../cluster/in-memory.ts';
import { serveChild } from '../../../cluster/over-ipc.ts';
import { BreakwaterError } from '../../base/errors.ts';

/** The brokers of the demo: processes that can be killed, and that come back as under a supervisor. */

/** Long enough to see what happens without it. */
const RESTART_MS = 5_000;
/** A broker listens within a second; on a machine that is very busy, within this. */
const START_MS = 30_000;

export interface DemoBroker {
  readonly id: string;
  readonly url: string;
  readonly pid: number;
}

export class DemoBrokers {
  private readonly cluster = inMemoryCluster();
  private readonly children = new Map<string, ChildProcess>();
  private readonly ending = new AbortController();
  private readonly tell: (line: string) => void;

  /** @param tell what happens to brokers after the start, a line each */
  constructor(tell: (line: string) => void) {
    this.tell = tell;
  }

  /** @throws BreakwaterError INTERNAL where one does not start */
  async start(count: number): Promise<DemoBroker[]> {
    const ids = Array.from({ length: count }, (_, index) => `broker-${index + 1}`);
    return Promise.all(ids.map((id) => this.begin(id, 0)));
  }

  private async begin(id: string, port: number): Promise<DemoBroker> {
    const child = fork(new URL('./demo-broker.js', import.meta.url), [id, String(port)], {
      serialization: 'advanced',
      execArgv: [],
      stdio: ['ignore', 'ignore', 'inherit', 'ipc'],
    });
    this.children.set(id, child);
    serveChild(child, await this.cluster.join(), () => {
      this.tell(`${id} stands still, and is ended`);
      child.kill('SIGKILL');
    });
    const url = await untilListening(child, id);
    child.once('exit', (code, signal) => void this.again(id, Number(new URL(url).port), signal ?? code));
    return { id, url, pid: child.pid ?? 0 };
  }

  private async again(id: string, port: number, why: unknown): Promise<void> {
    for (let cause = why; !this.ending.signal.aborted; ) {
      this.tell(`${id} has ended (${cause}), and comes back in ${RESTART_MS / 1000} s`);
      await sleep(RESTART_MS, undefined, { signal: this.ending.signal }).catch(() => {});
      if (this.ending.signal.aborted) return;
      try {
        const { pid } = await this.begin(id, port);
        return this.tell(`${id} is back: ${killCommand(pid)}`);
      } catch (error) {
        cause = error instanceof Error ? error.message : error;
      }
    }
  }

  async stop(): Promise<void> {
    this.ending.abort();
    const living = [...this.children.values()].filter(isRunning);
    for (const child of living) child.kill('SIGKILL'); // one that was stopped hears nothing else, and no device is left
    await Promise.all(living.map((child) => once(child, 'exit')));
  }
}

export function killCommand(pid: number): string {
  return `kill -9 ${pid}`;
}

function isRunning(child: ChildProcess): boolean {
  return child.pid !== undefined && child.exitCode === null && child.signalCode === null;
}

function untilListening(child: ChildProcess, id: string): Promise<string> {
  const bound = setTimeout(() => child.kill('SIGKILL'), START_MS);
  const listening = new Promise<string>((resolve, reject) => {
    child.on('message', (message: { readonly listening?: string }) => {
      if (message.listening !== undefined) resolve(message.listening);
    });
    child.once('error', reject);
    child.once('exit', (code, signal) =>
      reject(new BreakwaterError('INTERNAL', `${id} ended before it listened (${signal ?? code})`)),
    );
  });
  return listening.finally(() => clearTimeout(bound));
}
