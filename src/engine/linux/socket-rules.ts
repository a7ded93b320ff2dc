import {
  BROKEN,
  CONNECTING,
  DELAY_PENDING,
  DETACHED,
  DEVICE,
  ENDING,
  EOF,
  ERRED,
  FIN_SENT,
  FIN_WANTED,
  FROZEN,
  HANDSHAKING,
  HELD,
  NO_WRITE_EVENTS,
  QUEUED,
  READABLE,
  RECYCLABLE,
  RETRY,
  SENT,
  type SocketFlags,
  SocketStates,
  SPLICED,
  TLS,
  UNWATCHED,
} from './socket-state.ts';

/**
 * Which state bits of a socket may stand together, and from which state each change may start. The engine does not look at
 * these tables; tests run it with `CheckedSocketStates`, which looks at them after every change.
 */

const names = {
  ...{
    DEVICE,
    CONNECTING,
    READABLE,
    ENDING,
    ERRED,
    BROKEN,
    HELD,
    SPLICED,
    DETACHED,
    EOF,
    FIN_WANTED,
    FIN_SENT,
  },
  ...{ QUEUED, TLS, HANDSHAKING, RETRY, DELAY_PENDING, SENT, UNWATCHED, NO_WRITE_EVENTS, RECYCLABLE, FROZEN },
};

const ALL = Object.values(names).reduce((all, bit) => all | bit, 0);

/** The names of the bits, for people: `describeSocket(0x201)` is `DEVICE EOF`; of a closed socket `closed`. */
export function describeSocket(flags: number): string {
  const set = Object.entries(names).filter(([, bit]) => (flags & bit) !== 0);
  const unknown = (flags & ~ALL) >>> 0;
  const parts = [...set.map(([name]) => name), ...(unknown === 0 ? [] : [`0x${unknown.toString(16)}`])];
  return parts.length === 0 ? 'closed' : parts.join(' ');
}

interface Rule {
  /** Where this bit is set, */
  readonly bit: number;
  /** all of these are, */
  readonly needs: number;
  /** and none of these is. */
  readonly excludes: number;
}

/** What a frozen socket is not in the middle of. */
const UNSTEADY = CONNECTING | HANDSHAKING | ERRED | BROKEN | UNWATCHED;

/** The legal combinations. A bit without a rule may stand beside any other that does not exclude it. */
const rules: readonly Rule[] = [
  // Nothing has happened to a link that is connecting; it may be held, and what is written to it waits in the outbox.
  {
    bit: CONNECTING,
    needs: DELAY_PENDING,
    excludes: ALL & ~(CONNECTING | DELAY_PENDING | HELD | RECYCLABLE),
  },
  // It may be spliced and want its FIN sent, but no byte and no end has passed through a session that is not there.
  { bit: HANDSHAKING, needs: TLS, excludes: DETACHED | EOF | FIN_SENT },
  { bit: RETRY, needs: TLS, excludes: 0 },
  { bit: ERRED, needs: ENDING, excludes: 0 },
  { bit: BROKEN, needs: ENDING, excludes: 0 },
  { bit: FIN_SENT, needs: FIN_WANTED, excludes: 0 },
  // Nobody is there to hold it, and its bytes go nowhere.
  { bit: DETACHED, needs: 0, excludes: HELD | SPLICED },
  { bit: DELAY_PENDING, needs: 0, excludes: DEVICE },
  { bit: SENT, needs: 0, excludes: DEVICE },
  { bit: RECYCLABLE, needs: 0, excludes: DEVICE },
  { bit: UNWATCHED, needs: DEVICE, excludes: 0 },
  { bit: NO_WRITE_EVENTS, needs: DEVICE, excludes: UNWATCHED },
  { bit: FROZEN, needs: 0, excludes: UNSTEADY | READABLE | ENDING | QUEUED | RETRY | NO_WRITE_EVENTS },
];

const isBroken = ({ bit, needs, excludes }: Rule, flags: number): boolean =>
  (flags & bit) !== 0 && ((flags & needs) !== needs || (flags & excludes) !== 0);

export function isLegal(flags: number): boolean {
  return (flags & ~ALL) === 0 && !rules.some((rule) => isBroken(rule, flags));
}

/** What is wrong with a combination of bits that is not legal. */
function illegality(flags: number): string {
  const rule = rules.find((each) => isBroken(each, flags));
  return rule === undefined
    ? 'it has bits that nobody knows'
    : `${describeSocket(rule.bit)} ${reason(rule, flags)}`;
}

/** Which bits are missing, or too many. */
function reason({ needs, excludes }: Pick<Rule, 'needs' | 'excludes'>, flags: number): string {
  const missing = needs & ~flags;
  return missing === 0 ? `excludes ${describeSocket(flags & excludes)}` : `needs ${describeSocket(missing)}`;
}

/** Names of the changes. */
export type Transition = Exclude<keyof SocketStates, 'flags'>;

/** Where a change may start: in a state with all bits of `needs` and none of `excludes`. */
interface Start {
  readonly needs: number;
  readonly excludes: number;
  /** Also where the socket is closed. */
  readonly fromClosed?: true;
}

/** Whoever calls a change sees to it that the socket is in such a state. */
export const transitions: Readonly<Record<Transition, Start>> = {
  enterDevice: { needs: 0, excludes: ALL, fromClosed: true },
  enterLink: { needs: 0, excludes: ALL, fromClosed: true },
  enterFrozen: { needs: 0, excludes: ALL, fromClosed: true },
  leave: { needs: 0, excludes: 0 },
  connected: { needs: CONNECTING, excludes: 0 },
  beginTls: {
    needs: 0,
    excludes: CONNECTING | TLS | SPLICED | DETACHED | EOF | FIN_WANTED | NO_WRITE_EVENTS | FROZEN,
  },
  attachTls: { needs: 0, excludes: CONNECTING | TLS | NO_WRITE_EVENTS },
  endHandshake: { needs: HANDSHAKING, excludes: 0 },
  dropTls: { needs: TLS, excludes: 0 },
  readable: { needs: 0, excludes: CONNECTING | FROZEN },
  report: { needs: 0, excludes: CONNECTING | HANDSHAKING | FROZEN },
  readDry: { needs: 0, excludes: CONNECTING },
  awaitRetry: { needs: TLS, excludes: FROZEN },
  retry: { needs: TLS, excludes: FROZEN },
  enqueue: { needs: READABLE, excludes: QUEUED },
  dequeue: { needs: QUEUED, excludes: 0 },
  hold: { needs: 0, excludes: DETACHED | FROZEN },
  unhold: { needs: 0, excludes: DETACHED | FROZEN },
  splice: { needs: 0, excludes: CONNECTING | DETACHED | SPLICED },
  unsplice: { needs: SPLICED, excludes: 0 },
  freeze: { needs: 0, excludes: UNSTEADY | FROZEN },
  thaw: { needs: FROZEN, excludes: 0 },
  detach: { needs: 0, excludes: CONNECTING | HANDSHAKING | BROKEN | SPLICED | DETACHED | FROZEN },
  wantFin: { needs: 0, excludes: CONNECTING | FIN_WANTED | FROZEN },
  finSent: { needs: FIN_WANTED, excludes: HANDSHAKING | FIN_SENT | FROZEN },
  finRead: { needs: READABLE, excludes: HANDSHAKING | EOF },
  sendFailed: { needs: 0, excludes: CONNECTING | FROZEN },
  refuseTls: { needs: DEVICE, excludes: TLS | SPLICED | DETACHED | FROZEN },
  watch: { needs: UNWATCHED, excludes: 0 },
  wantWriteEvents: { needs: NO_WRITE_EVENTS, excludes: 0 },
  firstSent: { needs: DELAY_PENDING, excludes: CONNECTING | SENT },
  noDelaySet: { needs: DELAY_PENDING, excludes: CONNECTING },
};

export function mayStart(transition: Transition, flags: number): boolean {
  const { needs, excludes, fromClosed } = transitions[transition];
  return flags === 0 ? fromClosed === true : (flags & needs) === needs && (flags & excludes) === 0;
}

/** For tests: throws where a change starts or ends in a state that is not legal. */
export class CheckedSocketStates extends SocketStates {
  constructor(capacity: number) {
    super(capacity);
    for (const transition of Object.keys(transitions) as Transition[]) {
      const change = this[transition].bind(this) as (...args: unknown[]) => void;
      const checked = (fd: number, ...args: unknown[]): void => {
        check(transition, this.flags, fd, () => change(fd, ...args));
      };
      Object.defineProperty(this, transition, { value: checked });
    }
  }
}

function check(transition: Transition, flags: SocketFlags, fd: number, change: () => void): void {
  const before = flags[fd] as number;
  if (!mayStart(transition, before)) {
    const why = before === 0 ? 'needs an open socket' : reason(transitions[transition], before);
    throw illegal(fd, `${transition} ${why}`, before);
  }
  change();
  const after = flags[fd] as number;
  if (!isLegal(after)) throw illegal(fd, `after ${transition}, ${illegality(after)}`, after);
}

function illegal(fd: number, why: string, flags: number): Error {
  return new Error(`socket ${fd}: ${why}; it is [${describeSocket(flags)}]`);
}
