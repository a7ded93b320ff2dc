export { packetType } from './encode.ts';
export type { EndWhy, SessionEvent, SessionOptions, SessionOutput } from './events.ts';
export { deviceSilenceMs, nodeSilenceMs } from './keep-alive.ts';
export { type Immovable, Session, type SessionFacts, type Stays } from './session.ts';
export type { Suspect } from './suspects.ts';
export { readAssignedClientId } from './terms.ts';
