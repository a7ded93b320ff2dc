import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  CheckedSocketStates,
  describeSocket,
  isLegal,
  mayStart,
  type Transition,
  transitions,
} from '../../../../src/engine/linux/socket-rules.ts';
import * as is from '../../../../src/engine/linux/socket-state.ts';

const BITS = 22;
const FD = 0;

/** What a change is called with, besides the descriptor: each way of it. */
const argumentsOf: Partial<Record<Transition, readonly (readonly (boolean | number)[])[]>> = {
  enterLink: [[false], [true]],
  enterFrozen: [
    [0],
    [is.DEVICE | is.HELD],
    [is.DETACHED | is.EOF],
    [is.READABLE | is.FIN_WANTED],
    [is.FIN_WANTED | is.FIN_SENT],
  ],
  thaw: [[false], [true]],
  report: [
    [false, false],
    [true, false],
    [false, true],
    [true, true],
  ],
  watch: [[false], [true]],
};

type Change = (fd: number, ...args: readonly (boolean | number)[]) => void;

/** Every change, in each way, of one socket. */
const changes = (Object.keys(transitions) as Transition[]).flatMap((transition) =>
  (argumentsOf[transition] ?? [[]]).map((args) => ({ transition, args })),
);

function apply(states: is.SocketStates, { transition, args }: (typeof changes)[number]): void {
  (states[transition] as Change).call(states, FD, ...args);
}

function legalStates(): number[] {
  const legal: number[] = [];
  for (let flags = 0; flags < 1 << BITS; flags++) if (isLegal(flags)) legal.push(flags);
  return legal;
}

describe('the rules of socket states', () => {
  it('hold after every change from every legal state that it may start in', () => {
    const states = new is.SocketStates(1);
    const flags = states.flags as Uint32Array;
    const wrong = new Set<string>();
    const legal = legalStates();
    for (const change of changes) {
      for (const before of legal) {
        if (!mayStart(change.transition, before)) continue;
        flags[FD] = before;
        apply(states, change);
        const after = flags[FD] as number;
        if (isLegal(after)) continue;
        wrong.add(`${change.transition}: [${describeSocket(before)}] to [${describeSocket(after)}]`);
      }
    }
    expect([...wrong].slice(0, 5)).toEqual([]);
    expect(legal.length).toBeGreaterThan(1_000);
  });

  it('leave a legal state to start from to every change', () => {
    const legal = legalStates();
    const impossible = changes.filter(
      ({ transition }) => !legal.some((flags) => mayStart(transition, flags)),
    );
    expect(impossible).toEqual([]);
  });

  it('leave no socket that is open without a bit, which would be taken for a closed one', () => {
    const step = fc.constantFrom(...changes);
    fc.assert(
      fc.property(fc.array(step, { maxLength: 60 }), fc.nat(3), (steps, kind) => {
        const states = new CheckedSocketStates(1);
        if (kind === 0) states.enterDevice(FD);
        else if (kind === 1) states.enterLink(FD, false);
        else states.enterFrozen(FD, kind === 2 ? is.DEVICE : 0);
        for (const change of steps) {
          const before = states.flags[FD] as number;
          if (change.transition === 'leave' || !mayStart(change.transition, before)) continue;
          // A link without TCP_NODELAY has sent something, or shakes hands: the engine sets it nowhere else.
          if (change.transition === 'noDelaySet' && (before & (is.SENT | is.TLS)) === 0) continue;
          if (change.transition === 'dropTls') continue; // `leave` or `refuseTls` follows
          apply(states, change);
          expect(states.flags[FD]).not.toBe(0);
        }
      }),
    );
  });
});

describe('a checked state', () => {
  it('refuses a change that cannot start there, and says what the socket is', () => {
    const states = new CheckedSocketStates(8);
    states.enterLink(7, true);
    expect(() => states.finRead(7)).toThrow(
      'socket 7: finRead needs READABLE; it is [CONNECTING DELAY_PENDING RECYCLABLE]',
    );
    states.connected(7);
    states.detach(7);
    expect(() => states.hold(7)).toThrow(
      'socket 7: hold excludes DETACHED; it is [DETACHED DELAY_PENDING RECYCLABLE]',
    );
    states.leave(7);
    expect(() => states.report(7, false, false)).toThrow(
      'socket 7: report needs an open socket; it is [closed]',
    );
  });

  it('refuses a change that ends where no socket may be', () => {
    const states = new CheckedSocketStates(1);
    states.enterDevice(FD);
    (states.flags as Uint32Array)[FD] = is.DEVICE | is.FIN_SENT;
    expect(() => states.readable(FD)).toThrow(
      'socket 0: after readable, FIN_SENT needs FIN_WANTED; it is [DEVICE READABLE FIN_SENT]',
    );
  });
});

describe('describeSocket', () => {
  it('names the bits', () => {
    expect(describeSocket(is.DEVICE | is.EOF | is.FIN_SENT)).toBe('DEVICE EOF FIN_SENT');
    expect(describeSocket(0)).toBe('closed');
    expect(describeSocket(2 ** 31)).toBe('0x80000000');
    expect(isLegal(2 ** BITS)).toBe(false);
  });
});
