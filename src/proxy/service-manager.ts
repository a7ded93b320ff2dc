import { hrtime } from 'node:process';
import { messageOf } from '../base/errors.ts';
import type { Log } from '../base/log.ts';
import { createNotifySocket, type SendNotice } from '../engine/notify-socket.ts';

/**
 * What the service manager that started this process is told: when it is ready, reloads and stops, how it fares, and
 * that it lives. The protocol is that of sd_notify(3), which systemd speaks, and other managers too.
 */

/** Notices of a change that wait because the manager did not take them; the oldest is given up. */
const WAITING_MAX = 16;
const RETRY_MS = 200;
/** How often the line of `systemctl status` is looked at. */
const STATUS_MS = 5_000;

interface ServiceManagerParts {
  readonly send: SendNotice;
  /** The manager restarts a process that says nothing for so long; undefined: it does not look. */
  readonly watchdogMs: number | undefined;
  readonly monotonicMicros: () => bigint;
  readonly log: Pick<Log, 'warn'>;
}

/** What is looked at while the proxy runs. */
interface Looks {
  /** Whether all threads give signs of life. */
  readonly isAlive: () => boolean;
  /** One line for people. */
  readonly status: () => string;
}

/**
 * `starting → ready ⇄ reloading`, then `stopping` or `handed-over`. What does not fit the state is not said: a manager
 * that hears of a reload while it stops the service would take it for a running one.
 */
export class ServiceManager {
  private readonly parts: ServiceManagerParts | undefined;
  private state: 'starting' | 'ready' | 'reloading' | 'stopping' | 'handed-over' = 'starting';
  private readonly waiting: string[] = [];
  /** Due, and not sent. They wait behind notices, and say what is the case when they are sent: an old sign of life would be a lie. */
  private readonly due = { sign: false, status: false };
  private readonly timers: NodeJS.Timeout[] = [];
  private retry: NodeJS.Timeout | undefined;
  private looks: Looks | undefined;
  private told = '';
  private hasFailed = false;

  /** @param parts undefined: nobody is to be told */
  constructor(parts: ServiceManagerParts | undefined) {
    this.parts = parts;
  }

  /** Somebody is told: whoever takes the place of this process is known there, and this one need not stay for it. */
  get isPresent(): boolean {
    return this.parts !== undefined;
  }

  /** Devices are served from now on. */
  ready(looks: Looks): void {
    const { parts } = this;
    if (parts === undefined || this.state !== 'starting') return;
    this.looks = looks;
    this.state = 'ready';
    this.tell('READY=1', this.takeStatus());
    this.timers.push(setInterval(() => this.makeDue('status'), STATUS_MS));
    // Half of the time, as sd_watchdog_enabled(3) asks for: one that is late is not taken for dead.
    if (parts.watchdogMs !== undefined)
      this.timers.push(setInterval(() => this.makeDue('sign'), Math.max(1, parts.watchdogMs / 2)));
  }

  reloading(): void {
    if (this.parts === undefined || this.state !== 'ready') return;
    this.state = 'reloading';
    this.tell('RELOADING=1', `MONOTONIC_USEC=${this.parts.monotonicMicros()}`);
  }

  /** The reload is over, whatever came of it. */
  reloaded(): void {
    if (this.state !== 'reloading') return;
    this.state = 'ready';
    this.tell('READY=1');
  }

  stopping(): void {
    if (this.parts === undefined || this.state === 'handed-over') return;
    this.state = 'stopping';
    this.tell('STOPPING=1', this.takeStatus());
  }

  /**
   * Another process goes on in place of this one, which says nothing more. It says `READY=1` itself, and is to be started
   * without `WATCHDOG_PID`, which names this process.
   */
  handedOver(pid: number): void {
    if (this.parts === undefined || this.state === 'stopping') return;
    this.tell(`MAINPID=${pid}`);
    this.state = 'handed-over';
  }

  close(): void {
    for (const timer of this.timers) clearInterval(timer);
    clearTimeout(this.retry);
  }

  private makeDue(what: 'sign' | 'status'): void {
    if (this.state === 'handed-over') return;
    this.due[what] = true;
    this.flush();
  }

  /** The line for people; empty where it is as it was told last. */
  private status(): string {
    const status = this.looks?.status().replaceAll('\n', ' ') ?? '';
    return status === this.told ? '' : status;
  }

  private takeStatus(): string {
    const status = this.status();
    if (status === '') return '';
    this.told = status;
    return `STATUS=${status}`;
  }

  private tell(...lines: readonly string[]): void {
    if (this.state === 'handed-over') return;
    this.waiting.push(lines.filter((line) => line !== '').join('\n'));
    if (this.waiting.length > WAITING_MAX) this.waiting.shift();
    this.flush();
  }

  private flush(): void {
    clearTimeout(this.retry);
    if (!this.sendNotices() || !this.sendDue()) this.retry = setTimeout(() => this.flush(), RETRY_MS);
  }

  /** In order. False: what the manager does not take holds up what follows. */
  private sendNotices(): boolean {
    for (let [next] = this.waiting; next !== undefined; [next] = this.waiting) {
      if (!this.send(next)) return false;
      this.waiting.shift();
    }
    return true;
  }

  private sendDue(): boolean {
    const { due, looks } = this;
    if (this.state === 'handed-over') return true;
    if (due.sign && looks?.isAlive() === true && !this.send('WATCHDOG=1')) return false;
    due.sign = false;
    const status = due.status ? this.status() : '';
    if (status !== '' && !this.send(`STATUS=${status}`)) return false;
    if (status !== '') this.told = status;
    due.status = false;
    return true;
  }

  /** A manager that cannot be reached is said once, and the proxy does without. */
  private send(text: string): boolean {
    try {
      return this.parts?.send(text) ?? true;
    } catch (error) {
      if (!this.hasFailed) this.parts?.log.warn({ reason: messageOf(error) }, 'service manager is not told');
      this.hasFailed = true;
      return true;
    }
  }
}

/** By the environment that the manager gave: `NOTIFY_SOCKET`, `WATCHDOG_USEC`, `WATCHDOG_PID`. */
export function connectServiceManager(log: Pick<Log, 'warn'>, env = process.env): ServiceManager {
  const { NOTIFY_SOCKET: address = '', WATCHDOG_USEC: micros, WATCHDOG_PID: pid } = env;
  if (address === '') return new ServiceManager(undefined);
  try {
    const isForUs = pid === undefined || Number(pid) === process.pid;
    const watchdogMs = isForUs && Number(micros) > 0 ? Number(micros) / 1000 : undefined;
    const send = createNotifySocket(address);
    return new ServiceManager({ send, watchdogMs, monotonicMicros: () => hrtime.bigint() / 1000n, log });
  } catch (error) {
    log.warn({ reason: messageOf(error) }, 'service manager is not told');
    return new ServiceManager(undefined);
  }
}
