/** Keeps a node registered from the start of a process until its end: what `agent` and `broker` have in common. */

import { BreakwaterError } from '../../base/errors.ts';
import type { SigningConfig } from '../../config/config.ts';
import { SECRET_MIN } from '../../config/membership.ts';
import { resolveHost } from '../../membership/discovery/resolve.ts';
import { RedisStore } from '../../membership/store/redis.ts';
import type { StoreWatcher } from '../../membership/store/store.ts';
import type { NodeSpec } from '../../nodes/node.ts';
import { nodeSpec } from '../../nodes/spec.ts';
import { aborted, type Leaving } from '../signals.ts';
import { type LeaveOptions, Registration, type RegistrationOptions } from './registration.ts';
import type { NodeOptions } from './registration-options.ts';

interface MemberOptions extends NodeOptions {
  readonly redis: string;
  readonly cluster: string;
  /** `mqtt://host:port` that proxies dial. */
  readonly url: string;
  /** See `RegistrationOptions`; absent: the node and this process are one. */
  readonly serves?: (spec: NodeSpec) => ReturnType<NonNullable<RegistrationOptions['serves']>>;
  readonly isEmpty: LeaveOptions['isEmpty'];
  readonly onProxies?: StoreWatcher['onProxies'];
}

/** @throws BreakwaterError CONFIG_INVALID */
function signingFrom({ BREAKWATER_MEMBERSHIP_SECRET: secret }: NodeJS.ProcessEnv): SigningConfig | undefined {
  if (secret === undefined || secret === '') return undefined;
  if (secret.length >= SECRET_MIN) return { secret, acceptsUnsigned: false };
  throw new BreakwaterError(
    'CONFIG_INVALID',
    `BREAKWATER_MEMBERSHIP_SECRET must have at least ${SECRET_MIN} characters, as membership.secret of the proxies`,
  );
}

/**
 * Keeps one node registered in the cluster until a signal asks it to leave, and takes it out again.
 * @throws BreakwaterError NODE_INVALID, CONFIG_INVALID
 */
export async function beMember(options: MemberOptions, leaving: Leaving): Promise<void> {
  const { url, id, pool, weight, serves, isEmpty } = options;
  const spec = nodeSpec({ url, id, pool, weight, source: 'self' });
  const heartbeatMs = options.heartbeat * 1000;
  const store = new RedisStore({
    url: options.redis,
    cluster: options.cluster,
    proxyId: `node:${spec.id}`,
    heartbeatMs,
    signing: signingFrom(process.env),
    resolve: resolveHost,
  });
  try {
    await store.open({
      onMembership() {},
      onProxies: options.onProxies ?? (() => {}),
      onClaim() {},
      onAsk: () => Promise.reject(new Error('a node answers no questions')),
      onSkipped() {}, // proxies say it
      onUp() {}, // heartbeats that fail are said
    });
    const registration = new Registration({
      store,
      spec,
      heartbeatMs,
      forgetAfterMs: options.forgetAfter * 1000,
      ...(serves && { serves: () => serves(spec) }),
    });
    await aborted(leaving.asked);
    await registration.leave({ isEmpty, graceMs: options.grace * 1000, atOnce: leaving.atOnce });
  } finally {
    await store.close();
  }
}
