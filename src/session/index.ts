/** What other rooms may use of the session, besides the format of `handed.ts`. Everything else here is internal. */

export { readAssignedClientId } from './connack-capabilities.ts';
export { packetType } from './encode.ts';
export type { EndWhy, SessionEvent, SessionOptions, SessionOutput } from './events.ts';
export type { SessionFacts } from './facts.ts';
export { keepAliveMs } from './keep-alive.ts';
export type { TakeoverStake } from './leave.ts';
export { mergeRest, SUBSCRIPTIONS_MAX } from './memory.ts';
export type { Immovable, Stays } from './movable.ts';
export { Session } from './session.ts';
export type { Suspect } from './suspects.ts';
