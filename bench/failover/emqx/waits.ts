/**
 * How long an EMQX node waits for another one, in milliseconds. `EMQX_TIME_SCALE` (1) makes all of them shorter, so that
 * a test need not wait for half a minute; figures that are published use the true ones.
 */
const scale = Number(process.env.EMQX_TIME_SCALE ?? 1);

/**
 * Does a takeover publish the Will, unless it is delayed, and a connect that is refused none? So it is from EMQX 5.6 on
 * (`emqx_channel.erl`, `maybe_publish_will_msg`): `EMQX_VERSION=5.6`.
 */
export const takeoverFiresWill = process.env.EMQX_VERSION === '5.6';

export const waits = {
  /** For the node that has the session to hand it over: then the new connection is closed without an answer. */
  takeoverMs: 30_000 * scale,
  /** For the node that has the session to drop it: then the new connection is accepted all the same. */
  discardMs: 10_000 * scale,
  /** For all nodes to agree that a client id that no node knows may be taken: then it is taken. */
  newClientMs: 44_000 * scale,
  /** For a node of the quorum to give a lock, and to take it back, where locks are those of a ring. */
  lockMs: 30_000 * scale,
  /** Without a sign of life of another node: then it counts as dead (`net_ticktime`). */
  nodeDownMs: 120_000 * scale,
  tickMs: 1_000 * scale,
} as const;
