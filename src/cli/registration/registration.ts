/** The heartbeats of one registered node, and how it leaves without hurting its devices. */

import { setTimeout as sleep } from 'node:timers/promises';
import { messageOf } from '../../base/errors.ts';
import { LEASE_BEATS } from '../../membership/heartbeat.ts';
import type { BeatingNode, MembershipStore } from '../../membership/store/store.ts';
import type { NodeSpec } from '../../nodes/node.ts';
import { print, printError } from '../output/print.ts';

export interface RegistrationOptions {
  readonly store: Pick<MembershipStore, 'beatNode' | 'leaveNode'>;
  readonly spec: NodeSpec;
  readonly heartbeatMs: number;
  /** So long after its lease has run out the node is removed. */
  readonly forgetAfterMs: number;
  /** Rejects while the broker does not serve: then its heartbeats are left out. */
  readonly serves?: () => Promise<void>;
}

export interface LeaveOptions {
  /** Whether no device is connected to the node any more, which has been draining for so long. */
  readonly isEmpty: (drainingMs: number) => boolean;
  /** Longest wait for that. */
  readonly graceMs: number;
  /** Cuts the wait short. */
  readonly atOnce: AbortSignal;
}

const LEAVE_POLL_MS = 100;

/**
 * Registers a node in the membership store and says at every heartbeat that it lives; its lease is as long as a
 * proxy's. A store that is away is tried again at the next heartbeat: said once when it begins, and once when it is over.
 */
export class Registration {
  private readonly options: RegistrationOptions;
  private readonly timer: NodeJS.Timeout;
  private state: 'new' | 'heard' | 'silent' = 'new';
  private isRegistered = false;
  private isStopped = false;
  private said: BeatingNode;
  private running: Promise<void> | undefined;

  constructor(options: RegistrationOptions) {
    this.options = options;
    this.said = options.spec;
    this.beatOnce();
    this.timer = setInterval(() => this.beatOnce(), options.heartbeatMs);
  }

  /** The node takes no new device, keeps those that it has for the time of grace, and goes. Never rejects. */
  async leave({ isEmpty, graceMs, atOnce }: LeaveOptions): Promise<void> {
    const { store, spec } = this.options;
    try {
      if (!this.isRegistered) return await this.stopBeating();
      // Said by the node of itself, not decided for it: if it is killed meanwhile, the next start takes it back.
      this.said = { ...spec, leaving: true };
      await this.running;
      await this.say();
      const start = performance.now();
      const drainingMs = () => performance.now() - start;
      while (!isEmpty(drainingMs()) && drainingMs() < graceMs && !atOnce.aborted) await sleep(LEAVE_POLL_MS);
      await this.stopBeating();
      await store.leaveNode(spec.id);
      print(`node ${spec.id} has left`);
    } catch (error) {
      printError(`node ${spec.id} could not leave in order: ${messageOf(error)}`);
      await this.stopBeating();
    }
  }

  /** One at a time: a slow store or broker is not asked again before it has answered. */
  private beatOnce(): void {
    this.running ??= this.beat().finally(() => {
      this.running = undefined;
    });
  }

  private async beat(): Promise<void> {
    const { spec, heartbeatMs, serves } = this.options;
    try {
      await serves?.();
      if (this.isStopped) return;
      await this.say();
      if (!this.isRegistered)
        print(`node ${spec.id} is registered: ${spec.url}, pool ${spec.pool}, weight ${spec.weight}`);
      else if (this.state === 'silent') print(`node ${spec.id} is heard again`);
      this.state = 'heard';
      this.isRegistered = true;
    } catch (error) {
      const every = `it is tried again every ${heartbeatMs / 1000} s`;
      if (this.state !== 'silent') printError(`node ${spec.id}: no heartbeat: ${messageOf(error)}; ${every}`);
      this.state = 'silent';
    }
  }

  private async say(): Promise<void> {
    const { store, heartbeatMs, forgetAfterMs } = this.options;
    await store.beatNode(this.said, LEASE_BEATS * heartbeatMs, forgetAfterMs);
  }

  private async stopBeating(): Promise<void> {
    this.isStopped = true;
    clearInterval(this.timer);
    await this.running; // it would register the node once more
  }
}
