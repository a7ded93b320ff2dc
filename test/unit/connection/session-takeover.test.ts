import { describe, expect, test } from 'vitest';
import { drainedAndAsked, goOn, PACE_MS, type SessionScene, served } from './session-scene.ts';

// Rule 14: who owns a client id is the broker's to say. A newer connection that it has accepted ends nobody; it explains
// why the older one's link ends.

const v5 = { version: 5 } as const;

/** Node `a` has served a clean 3.1.1 session, and `b` has it by now, asked to keep it. */
const moved = (): SessionScene =>
  goOn(
    drainedAndAsked('CONNECT id=dev clean will=gone'),
    `
    b: CONNACK present
      a gets DISCONNECT
      end a: flush
      moved (drain) from a to b present after 0`,
  );

describe('a newer connection was accepted', () => {
  test.each(['same', 'other'])('a link that lives on, lives on (%s)', (which) => {
    goOn(
      served('CONNECT id=dev keepalive=60'),
      `
      -- A newer connection was accepted elsewhere, and the broker leaves this one alone: so do we.
      owner: supersede ${which}
      device: PUBLISH t=x
        a gets PUBLISH t=x
      a: PUBLISH u=y
        device gets PUBLISH u=y
      time: 20000
      device: PINGREQ
        a gets PINGREQ
      a: PINGRESP
        device gets PINGRESP`,
    );
  });

  test.each([
    ['same', 'fin'],
    ['same', 'reset'],
  ])('a link that ends was taken over: 5.0 is told 0x8E [MQTT-3.1.4-3] (%s, %s)', (which, cause) => {
    goOn(
      served('CONNECT id=dev will=gone', v5),
      `
      owner: supersede ${which}
      a: ${cause}
        end a: reset
        device gets DISCONNECT code=142
        end device: flush
      wire: closed
        ended: taken-over`,
    );
  });

  test('before 5.0 it is closed, and the node is not suspected', () => {
    goOn(
      served(),
      `
      owner: supersede same
      a: fin
        end a: reset
        end device: flush
      wire: closed
        ended: taken-over`,
    );
  });

  test('even if it ends much later', () => {
    goOn(
      served('CONNECT id=dev', v5),
      `
      owner: supersede same
      time: 50000
      a: fin
        end a: reset
        device gets DISCONNECT code=142
        end device: flush`,
    );
  });

  test.each([
    [4, '--'],
    [5, 'device gets DISCONNECT code=142'],
  ] as const)('by the node that lives, the device may also be another one (version %i)', (version, told) => {
    goOn(
      served('CONNECT id=dev', { version, evidence: 'ask' }),
      `
      -- Another connection has the client id; within 5 s the node ends this link, and it lives: a takeover.
      owner: supersede other
      time: 4999
      a: fin
        end a: reset
        is a gone?
      owner: verdict lives
        ${told}
        end device: flush
      wire: closed
        ended: taken-over`,
    );
  });

  test('but that it may be another one explains no node that died, and nothing after a while', () => {
    goOn(
      served('CONNECT id=dev', { ...v5, evidence: 'ask' }),
      `
      owner: supersede other
      a: fin
        end a: reset
        is a gone?
      owner: verdict refused
      time: ${PACE_MS}
        dial b`,
    );
    goOn(
      served('CONNECT id=dev', { ...v5, evidence: 'ask' }),
      `
      -- The same after 5 s: nothing explains the end, so the device sees it as the broker gave it.
      owner: supersede other
      time: 5000
      a: fin
        a lost: fin
        is a gone?
      owner: verdict lives
        finish device
      device: fin
        end a: flush
        end device: flush
      wire: closed
        ended: node-closed`,
    );
  });

  test('a mark that comes while it is asked whether the node is gone answers that', () => {
    goOn(
      served('CONNECT id=dev', { ...v5, evidence: 'ask' }),
      `
      -- The link has ended, and while its node is probed the mark comes: that was the reason.
      a: fin
        a lost: fin
        is a gone?
      owner: supersede same
        never mind
        end a: reset
        device gets DISCONNECT code=142
        end device: flush
      wire: closed
        ended: taken-over`,
    );
  });

  test('a device that has part of a message is told nothing more: it would fall into the message', () => {
    const scene = served('CONNECT id=dev', { ...v5, maxPacketBytes: 64 });
    const half = Buffer.concat([Buffer.of(0x30, 100, 0, 1, 0x74, 0), Buffer.alloc(70)]);
    scene.connection.linkData(0, half, 0, half.length);
    scene.did();
    goOn(
      scene,
      `
      owner: supersede same
      a: fin
        end a: reset
        end device: reset
      wire: closed
        ended: taken-over`,
    );
  });

  test('the broker’s own word for it needs no mark', () => {
    goOn(
      served('CONNECT id=dev', v5),
      `
      a: DISCONNECT code=142
        device gets DISCONNECT code=142
        end a: reset
        end device: flush`,
    );
  });
});

describe('what the newer connection has is never taken from it', () => {
  test.each(['drain', 'move', 'rebalance'])('by a %s', (cause) => {
    goOn(
      served(),
      `
      owner: supersede same
      owner: move ${cause}
        answer superseded`,
    );
  });

  test('by a move that is under way: it is called off', () => {
    goOn(
      served(),
      `
      owner: move drain
        dial b
        answer moving
      owner: supersede same
        end b: reset
        moved (drain) from a to nowhere after 0
      device: PUBLISH t=x
        a gets PUBLISH t=x`,
    );
  });

  test('which another device’s connection does not prevent', () => {
    goOn(
      served(),
      `
      owner: supersede other
      owner: move drain
        dial b
        answer moving`,
    );
  });

  test('by a node that hangs: it finds our goodbye when it goes on, so that no Will fires (rule 13)', () => {
    goOn(
      served('CONNECT id=dev will=gone', v5),
      `
      -- The node hangs, and a newer connection has been accepted: this one must not be moved any more.
      owner: supersede same
      owner: check
        a gets PINGREQ
      time: 2000
        a failed: silent
        device gets DISCONNECT code=142
        a gets DISCONNECT
        end a: flush
        end device: flush
      wire: closed
        ended: taken-over`,
    );
  });

  test('by a node that leaves', () => {
    goOn(
      served('CONNECT id=dev', v5),
      `
      owner: supersede same
      a: DISCONNECT code=139
        a gets DISCONNECT
        end a: flush
        device gets DISCONNECT code=142
        end device: flush`,
    );
  });

  test('by a session that waits for its turn at another node: the link’s end came first, and the mark explains it', () => {
    goOn(
      served('CONNECT id=dev', v5),
      `
      a: fin
        a lost: fin
        end a: reset
      owner: supersede same
        device gets DISCONNECT code=142
        end device: flush
      wire: closed
        ended: taken-over`,
    );
  });

  test('by a session that another node was asked for: that link is left without the Will', () => {
    goOn(
      served('CONNECT id=dev will=gone', v5),
      `
      -- The session is asked for at b when the mark comes: it is the newer connection's by now.
      a: fin
        a lost: fin
        end a: reset
      time: ${PACE_MS}
        dial b
      b: opens
        b gets CONNECT id=dev will=gone
      owner: supersede same
        device gets DISCONNECT code=142
        b gets DISCONNECT
        end b: flush
        end device: flush`,
    );
  });

  test('by a session that has moved by the time that the mark comes', () => {
    const late = (ms: number) =>
      goOn(
        served('CONNECT id=dev', v5),
        `
        -- The session was lost and has moved to b. Soon after, or later, a newer connection is accepted.
        a: fin
          a lost: fin
          end a: reset
        time: ${PACE_MS}
          dial b
        b: opens
          b gets CONNECT id=dev
        b: CONNACK
          moved (link-lost) from a to b rebuilt after ${PACE_MS}
        time: ${ms}`,
      );
    goOn(
      late(4_999),
      `
      owner: supersede same
        device gets DISCONNECT code=142
        b gets DISCONNECT
        end b: flush
        end device: flush`,
    );
    goOn(
      late(5_000),
      `
      owner: supersede same`,
    );
  });

  test('by a purge: it may be the newer connection’s session that would be dropped', () => {
    goOn(
      moved(),
      `
      owner: supersede same
      device: DISCONNECT
        b gets DISCONNECT
      b: fin
        end b: flush
        end device: flush`,
    );
    goOn(
      moved(),
      `
      owner: supersede same
      b: fin
        end b: reset
        end device: flush
      wire: closed
        ended: taken-over`,
    );
  });

  test('by a purge under way', () => {
    goOn(
      moved(),
      `
      -- The device has gone and b is to drop its session, when a newer connection is accepted: b keeps it.
      device: DISCONNECT
        b gets DISCONNECT
      b: fin
        end b: flush
        dial b
        end device: flush
      b: opens
        b gets CONNECT id=dev clean
      owner: supersede same
        end b: reset
      wire: closed
        ended: device-closed`,
    );
  });
});

test('a re-attach makes no session newer: it is told to nobody', () => {
  const scene = served();
  scene.connection.acceptedAtMs = 77;
  scene.say('a', 'reset');
  scene.pass(PACE_MS);
  scene.say('b', 'opens');
  scene.say('b', 'CONNACK');
  expect(scene.did().filter((line) => line.startsWith('placed'))).toEqual([]);
  expect(scene.connection.acceptedAtMs).toBe(77);
});

test('a node that says so while it is still told what the session was is left for another, when a CONNECT that was given up explains it', () => {
  const scene = served('CONNECT id=dev', v5);
  scene.say('device', 'SUBSCRIBE #1 t:1');
  scene.say('a', 'SUBACK #1 1');
  scene.say('a', 'reset');
  scene.pass(40);
  scene.say('b', 'opens');
  while (!scene.did().includes('dial c')) scene.pass(500); // b does not answer
  scene.say('c', 'opens');
  scene.say('c', 'CONNACK');
  expect(scene.did()).toContain('c gets SUBSCRIBE #1 t:1+rh2');
  scene.say('c', 'DISCONNECT code=142');
  scene.pass(1_000);
  const did = scene.did();
  expect(did).toContain('dial a');
  expect(did.join()).not.toContain('device gets DISCONNECT');
});
