export { readAssignedClientId } from './connack-capabilities.ts';
export { packetType } from './encode.ts';
export type { EndWhy, SessionEvent, SessionOptions, SessionOutput } from './events.ts';
export type { SessionFacts } from './facts.ts';
export { deviceSilenceMs, nodeSilenceMs } from './keep-alive.ts';
export { mergeRest, SUBSCRIPTIONS_MAX } from './memory.ts';
export { type Immovable, Session, type Stays } from './session.ts';
export type { Suspect } from './suspects.ts';
