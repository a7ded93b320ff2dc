import { expect, test } from 'vitest';
import type { Permission } from '../../../src/connection/scouts.ts';
import { moves, retryPolicy } from './scene.ts';
import { goOn, hung, PACE_MS, type SessionScene, served } from './session-scene.ts';

// The node that serves hangs, and a takeover that comes late would cost something: the session waits until it is known that no
// other node waits for this one.

const DEVICE = 'CONNECT id=dev will=gone';
const ORIGIN = { slot: 0, nodeId: 'a', host: '127.0.0.1', port: 1883 };
/** The first looks: 250, 500 and 1,000 ms with a random number of 0.5. */
const LOOKS_MS = [188, 375, 750] as const;
const LOCKED_MS = moves.reattachConnackDeadlineMs;

const scouted = (connect = DEVICE): SessionScene => hung(connect, { takeoverFiresWill: true, scouts: true });

const NEWCOMER = `
    time: ${PACE_MS}
      dial b
    b: opens
      b gets CONNECT id=breakwater-probe-i00000 clean`;

/** The same, without a Will, and a newcomer was let in at `b` at once; now `b` is asked for the session. */
function asked(): SessionScene {
  return goOn(
    scouted('CONNECT id=dev'),
    `${NEWCOMER}
    b: CONNACK
      b gets DISCONNECT
      end b: flush
    time: ${PACE_MS}
      dial b
    b: opens
      b gets CONNECT id=dev`,
  );
}

/** May a session with a Will be asked for, that has waited long enough to be the scout? */
const othersMayAsk = ({ scouts, nowMs }: SessionScene): Permission =>
  scouts.mayAsk(ORIGIN, { silentSinceMs: 0, searchesSinceMs: 0, lockedMs: LOCKED_MS, stake: 'will' }, nowMs);

test('it lets others ask first; where nobody does, it is the scout', () => {
  goOn(
    scouted(),
    `
    time: ${LOOKS_MS[0]}
    time: ${LOOKS_MS[1]}
    time: ${LOOKS_MS[2]}${NEWCOMER}
    b: CONNACK 5
      b gets DISCONNECT
      end b: flush
    time: ${PACE_MS}
      dial b
    b: opens
      b gets ${DEVICE}
    b: CONNACK
      a gets DISCONNECT
      end a: flush
      moved (node-silent) from a to b rebuilt after ${LOOKS_MS[0] + LOOKS_MS[1] + LOOKS_MS[2] + 2 * PACE_MS}`,
  );
});

test('while another one waits for its answer it stays, and goes on with its node when that wakes', () => {
  const scene = scouted();
  scene.scouts.sent(ORIGIN, scene.nowMs);
  goOn(
    scene,
    `
    -- nobody else is dialled; what the device sends waits for a, and goes there.
    device: PUBLISH #1 q1 t=1 | PINGREQ
      device gets PINGRESP
    time: ${LOOKS_MS[0]}
    time: ${LOOKS_MS[1]}
    time: ${LOOKS_MS[2]}
    a: PINGRESP
      a gets PUBLISH #1 q1 t=1`,
  );
});

test('one that has subscribed leaves the first question to those that have not, for half a second', () => {
  goOn(
    served('CONNECT id=dev', { evidence: 'ask', scouts: true }),
    `
    device: SUBSCRIBE #1 t:1
      a gets SUBSCRIBE #1 t:1
    a: SUBACK #1 1
      device gets SUBACK #1 1
    owner: check
      a gets PINGREQ
    time: ${0.4 * moves.silenceTimeoutMs}
      is a gone?
    owner: verdict no-answer
      a failed: silent
    time: ${LOOKS_MS[0]}
    time: ${LOOKS_MS[1]}
    time: ${PACE_MS}
      dial b`,
  );
});

test('when that one was answered at once, it is asked for too', () => {
  const scene = scouted();
  scene.scouts.sent(ORIGIN, scene.nowMs);
  scene.scouts.answered(ORIGIN, scene.nowMs + 1);
  goOn(
    scene,
    `
    time: ${LOOKS_MS[0]}
    time: ${PACE_MS}
      dial b`,
  );
});

test('but not when the node has just spoken to another session', () => {
  const scene = scouted();
  scene.scouts.answered(ORIGIN, scene.nowMs);
  scene.spokenAtMs.set('a', scene.nowMs);
  goOn(
    scene,
    `
    time: ${LOOKS_MS[0]}
    time: ${LOOKS_MS[1]}`,
  );
});

test('the session is not asked for while a newcomer waits: the cluster waits for the node', () => {
  goOn(
    scouted('CONNECT id=dev'),
    `
    -- nothing was asked for, so the session stays when a wakes, and what has waited goes there.
    ${NEWCOMER.trim()}
    device: PUBLISH #1 q1 t=1
    time: 2000
    a: PINGRESP
      end b: reset
      a gets PUBLISH #1 q1 t=1
    a: PUBACK #1
      device gets PUBACK #1`,
  );
});

test('nor when it is let in late', () => {
  goOn(
    scouted('CONNECT id=dev'),
    `${NEWCOMER}
    time: 1000
    b: CONNACK
      b gets DISCONNECT
      end b: flush
    time: ${LOOKS_MS[0]}
    time: ${LOOKS_MS[1]}
    time: ${LOOKS_MS[2]}`,
  );
});

test('a broker that closes its link has answered too', () => {
  goOn(
    scouted('CONNECT id=dev'),
    `${NEWCOMER}
    b: fin
      end b: reset
    time: ${PACE_MS}
      dial b
    b: opens
      b gets CONNECT id=dev`,
  );
});

test('a scout that has not asked again for three times the lock is followed by another one', () => {
  const scene = asked();
  expect(othersMayAsk(scene)).toBe('no');
  scene.nowMs += 3 * LOCKED_MS - 1;
  expect(othersMayAsk(scene)).toBe('no');
  scene.nowMs += 1;
  expect(othersMayAsk(scene)).toBe('first');
  expect(othersMayAsk(scene)).toBe('no');
});

test('an answer at once, of a node that shares nothing, is told to the others', () => {
  const scene = goOn(
    asked(),
    `
    b: CONNACK
      a gets DISCONNECT
      end a: flush
      moved (node-silent) from a to b rebuilt after ${2 * PACE_MS}`,
  );
  expect(othersMayAsk(scene)).toBe('yes');
});

test('so is one of a node that shares by a store', () => {
  const scene = goOn(
    asked(),
    `
    b: CONNACK present
    time: 200
      a gets DISCONNECT
      end a: flush
      moved (node-silent) from a to b present after ${2 * PACE_MS + 200}`,
  );
  expect(othersMayAsk(scene)).toBe('yes');
});

test('one that came because the node went on is not', () => {
  const late = goOn(
    asked(),
    `
    time: 1000
    b: CONNACK present
    time: ${retryPolicy.connackTimeoutMs}
      a gets DISCONNECT
      end a: flush
      moved (node-silent) from a to b present after ${2 * PACE_MS + 1000 + retryPolicy.connackTimeoutMs}`,
  );
  expect(othersMayAsk(late)).toBe('no');
});
