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

interface Registration {
  /** The node takes no new device, keeps those that it has for the time of grace, and goes. Never rejects. */
  leave(options: LeaveOptions): Promise<void>;
}

const LEAVE_POLL_MS = 100;

/**
 * Registers a node in the membership store and says at every heartbeat that it lives; its lease is as long as a
 * proxy's. A store that is away is tried again at the next heartbeat: said once when it begins, and once when it is over.
 */
export function register({
  store,
  spec,
  heartbeatMs,
  forgetAfterMs,
  serves,
}: RegistrationOptions): Registration {
  let state: 'new' | 'heard' | 'silent' = 'new';
  let registered = false;
  let stopped = false;
  let said: BeatingNode = spec;
  let running: Promise<void> | undefined;

  async function beat(): Promise<void> {
    try {
      await serves?.();
      if (stopped) return;
      await store.beatNode(said, LEASE_BEATS * heartbeatMs, forgetAfterMs);
      if (!registered)
        print(`node ${spec.id} is registered: ${spec.url}, pool ${spec.pool}, weight ${spec.weight}`);
      else if (state === 'silent') print(`node ${spec.id} is heard again`);
      state = 'heard';
      registered = true;
    } catch (error) {
      const every = `it is tried again every ${heartbeatMs / 1000} s`;
      if (state !== 'silent') printError(`node ${spec.id}: no heartbeat: ${messageOf(error)}; ${every}`);
      state = 'silent';
    }
  }

  /** One at a time: a slow store or broker is not asked again before it has answered. */
  function beatOnce(): void {
    running ??= beat().finally(() => {
      running = undefined;
    });
  }

  beatOnce();
  const timer = setInterval(beatOnce, heartbeatMs);

  async function stopBeating(): Promise<void> {
    stopped = true;
    clearInterval(timer);
    await running; // it would register the node once more
  }

  return {
    async leave({ isEmpty, graceMs, atOnce }) {
      try {
        if (!registered) return await stopBeating();
        // Said by the node of itself, not decided for it: if it is killed meanwhile, the next start takes it back.
        said = { ...spec, leaving: true };
        await running;
        await store.beatNode(said, LEASE_BEATS * heartbeatMs, forgetAfterMs);
        const start = performance.now();
        const drainingMs = () => performance.now() - start;
        while (!isEmpty(drainingMs()) && drainingMs() < graceMs && !atOnce.aborted)
          await sleep(LEAVE_POLL_MS);
        await stopBeating();
        await store.leaveNode(spec.id);
        print(`node ${spec.id} has left`);
      } catch (error) {
        printError(`node ${spec.id} could not leave in order: ${messageOf(error)}`);
        await stopBeating();
      }
    },
  };
}
