import { describe, expect, test } from 'vitest';
import { goOn, PACE_MS, type SessionScene, type SessionSceneOptions, served } from './session-scene.ts';

// A packet that kills node after node is sent to two, and to no third (rule 4, decision 9).

/** Node `a` has died of something that was under way to it, and `b` is asked for the session. */
function died(options: SessionSceneOptions = {}): SessionScene {
  return goOn(
    served('CONNECT id=dev', options),
    `
    -- a dies with a message under way, and b is asked.
    device: PUBLISH q1 #1 deadly/t=payload
      a gets PUBLISH #1 q1 deadly/t=payload
    a: reset
      a lost: reset
      end a: reset
    time: ${PACE_MS}
      dial b
    b: opens
      b gets CONNECT id=dev`,
  );
}

const secondDeath = `
  b: CONNACK
    b gets PUBLISH #1 q1 dup deadly/t=payload
    moved (link-lost) from a to b rebuilt after ${PACE_MS}
  b: reset
    b lost: reset
    end b: reset`;

test.each([
  [4, 21, '--'],
  [5, 22, 'device gets DISCONNECT code=131'],
] as const)('two nodes that die of it: the device is told, and it goes nowhere else (version %i)', (version, bytes, told) => {
  const scene = goOn(
    died({ version }),
    `${secondDeath}
      convicted: PUBLISH deadly/t, ${bytes} bytes
      ${told}
      end device: flush
    wire: closed
      ended: deadly-packet`,
  );
  expect([...scene.counted.values()]).toEqual([0, 0]);
});

test('a second node that dies later has not died of it', () => {
  goOn(
    died(),
    `
    -- b was sent the message again and lives for a second longer: it has not died of it.
    b: CONNACK present
      b gets PUBLISH #1 q1 dup deadly/t=payload
      moved (link-lost) from a to b present after ${PACE_MS}
    time: 1000
    b: reset
      b lost: reset
      end b: reset
    time: ${PACE_MS}
      dial a`,
  );
});

test('nor one that had answered: an ordinary session outlives any number of nodes', () => {
  goOn(
    died(),
    `
    -- b answers the message, so it is no suspect; the next one starts anew.
    b: CONNACK present
      b gets PUBLISH #1 q1 dup deadly/t=payload
      moved (link-lost) from a to b present after ${PACE_MS}
    b: PUBACK #1
      device gets PUBACK #1
    device: PUBLISH q1 #2 t=x
      b gets PUBLISH #2 q1 t=x
    b: reset
      b lost: reset
      end b: reset
    time: ${PACE_MS}
      dial a
    a: opens
      a gets CONNECT id=dev
    a: CONNACK present
      a gets PUBLISH #2 q1 dup t=x
      moved (link-lost) from b to a present after ${PACE_MS}`,
  );
});

test.each(['leaving', 'removed'] as const)('a node that is %s has not died of anything', (evidence) => {
  goOn(
    died({ evidence, queues: true }),
    `
    b: CONNACK present
      b gets PUBLISH #1 q1 dup deadly/t=payload
      moved (link-lost) from a to b present after ${PACE_MS}`,
  );
});

test('a node that lives and closes it has spoken, and it goes nowhere else', () => {
  const scene = served('CONNECT id=dev', { evidence: 'ask' });
  goOn(
    scene,
    `
    -- a dies; b gets the message, lives, and closes the link: the broker has judged it.
    device: PUBLISH q1 #1 t=x
      a gets PUBLISH #1 q1 t=x
    a: reset
      a lost: reset
      end a: reset
      is a gone?
    owner: verdict refused
    time: ${PACE_MS}
      dial b
    b: opens
      b gets CONNECT id=dev
    b: CONNACK present
      b gets PUBLISH #1 q1 dup t=x
      moved (link-lost) from a to b present after ${PACE_MS}
    b: fin
      b lost: fin
      is b gone?
    owner: verdict lives
      finish device`,
  );
});

describe('its turn', () => {
  test('is waited for; what the device says meanwhile comes behind', () => {
    goOn(
      died({ queues: true }),
      `
      b: CONNACK present
      device: PUBLISH t=2 | PINGREQ
        device gets PINGRESP
      time: 4999
      owner: turn
        b gets PUBLISH #1 q1 dup deadly/t=payload
        b gets PUBLISH t=2
        moved (link-lost) from a to b present after ${PACE_MS + 4_999}`,
    );
  });

  test('is not waited for without end', () => {
    goOn(
      died({ queues: true }),
      `
      b: CONNACK present
      time: 5000
        b gets PUBLISH #1 q1 dup deadly/t=payload
        moved (link-lost) from a to b present after ${PACE_MS + 5_000}`,
    );
  });

  test('comes later where no other node lives: the one before may be started again', () => {
    goOn(
      died({ nodes: ['a', 'b'] }),
      `
      b: CONNACK present
      time: 1999
      time: 1
        b gets PUBLISH #1 q1 dup deadly/t=payload
        moved (link-lost) from a to b present after ${PACE_MS + 2_000}`,
    );
  });

  test('is not waited for by those whose turn it is next: the node has answered', () => {
    goOn(
      served('CONNECT id=dev', { nodes: ['a', 'b'], isFull: true }),
      `
      -- a dies with a message under way. b accepts: the next session may be asked for, two seconds before this one goes on.
      device: PUBLISH q1 #1 deadly/t=payload
        a gets PUBLISH #1 q1 deadly/t=payload
      a: reset
        a lost: reset
        end a: reset
      time: ${PACE_MS}
        waits for b
      owner: room
        dial b
      b: opens
        b gets CONNECT id=dev
      b: CONNACK present
        turn at b over: answered
      time: 2000
        b gets PUBLISH #1 q1 dup deadly/t=payload
        moved (link-lost) from a to b present after ${PACE_MS + 2_000}`,
    );
  });

  test('who waits for it when its node is lost has sent nothing there', () => {
    goOn(
      died({ queues: true }),
      `
      -- The message waits for its turn at b when b is lost: it has killed nobody yet, and c is sent it.
      b: CONNACK present
      b: reset
        end b: reset
        b failed: closed-before-connack
      time: ${PACE_MS}
        dial c
      c: opens
        c gets CONNECT id=dev
      c: CONNACK present
      owner: turn
        c gets PUBLISH #1 q1 dup deadly/t=payload
        moved (link-lost) from a to c present after ${2 * PACE_MS}`,
    );
  });

  test('a device that goes while it waits', () => {
    goOn(
      died({ queues: true }),
      `
      b: CONNACK present
      device: reset
        end b: reset
        end device: reset
      owner: turn
      wire: closed
        ended: device-reset`,
    );
  });
});
