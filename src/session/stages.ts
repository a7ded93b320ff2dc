/** How far messages have come, in both directions. */

/** How far one exchange of the device's has come. */
export const stage = {
  /** PUBLISH that a node got, unanswered. */
  sent: 1,
  /** PUBLISH that waits for room in the node's Receive Maximum. */
  waiting: 2,
  /** SUBSCRIBE or UNSUBSCRIBE, unanswered. */
  asked: 3,
  /** QoS 2: the device has its PUBREC. From here on the message itself is not needed again. */
  received: 4,
  /** QoS 2: the device has sent PUBREL. */
  released: 5,
  /** QoS 2 after PUBREC from a node whose session is gone: finished here, not at a node. */
  local: 6,
  /** PUBLISH that a node got, unanswered, and that is too large to be kept: no other node can be given it. */
  unkept: 7,
} as const;

export type Stage = (typeof stage)[keyof typeof stage];

/** How far one delivery to the device has come, as the device sees it. */
export const step = {
  /** PUBLISH given, not acknowledged. */
  published: 0,
  /** QoS 2: the device has sent PUBREC. */
  received: 1,
  /** QoS 2: PUBREL given. */
  released: 2,
  /** The device has finished, but a node that must redeliver does not know it yet. */
  done: 3,
} as const;

/** Which node knows of the delivery. */
export const owner = {
  /** The link that is up. */
  node: 0,
  /** The session of a lost link: the next node may take it up again [MQTT-4.4.0-1]. */
  suspended: 1,
  /** No node knows it. */
  orphan: 2,
} as const;

export type Step = (typeof step)[keyof typeof step];
export type Owner = (typeof owner)[keyof typeof owner];
