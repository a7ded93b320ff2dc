import { describe, expect, test } from 'vitest';
import { limits } from './scene.ts';
import {
  drainedAndAsked,
  goOn,
  lostAndAsked,
  PACE_MS,
  type SessionScene,
  type SessionSceneOptions,
  served,
} from './session-scene.ts';

// How a session ends: at the device, at its nodes, and in what is counted and kept.

const v5 = { version: 5 } as const;

describe('the device ends it', () => {
  test('with DISCONNECT: the node gets it, and no Will fires; what it still answers reaches the device', () => {
    goOn(
      served(),
      `
      -- The device publishes and says goodbye. Its node answers first, and then closes.
      device: PUBLISH q1 #1 t=x | DISCONNECT
        a gets PUBLISH #1 q1 t=x
        a gets DISCONNECT
      a: PUBACK #1
        device gets PUBACK #1
      a: fin
        end a: flush
        end device: flush
      wire: closed
        ended: device-closed`,
    );
  });

  test('with a DISCONNECT that its node does not allow, and says so [MQTT-3.14.2-2]', () => {
    goOn(
      served('CONNECT id=dev sessionExpiryInterval:0', v5),
      `
      device: DISCONNECT sessionExpiryInterval:1
        a gets DISCONNECT sessionExpiryInterval:1
      a: DISCONNECT code=130
        device gets DISCONNECT code=130
        end a: flush
        end device: flush
      wire: closed
        ended: device-closed`,
    );
  });

  test('by fin without DISCONNECT: so does the link, behind what was said; the device may still read', () => {
    goOn(
      served(),
      `
      -- The device ends its side and waits for its PUBACK: the node hears the same, and has its time to answer.
      device: PUBLISH q1 #1 t=x
        a gets PUBLISH #1 q1 t=x
      device: fin
        finish a
      a: PUBACK #1
        device gets PUBACK #1
      a: fin
        end a: flush
        end device: flush
      wire: closed
        ended: device-closed`,
    );
  });

  test.each([
    ['DISCONNECT', 'a gets DISCONNECT'],
    ['fin', 'finish a'],
  ])('by %s, and its node does not close: it has its time', (what, comes) => {
    goOn(
      served(),
      `
      device: ${what}
        ${comes}
      time: ${limits.halfCloseTimeoutMs - 1}
      owner: move drain
        answer later
      time: 1
        end a: flush
        end device: flush`,
    );
  });

  test('by fin, and its node reads slowly: it has its time anew as long as it reads', () => {
    const scene = served();
    scene.takes = [true];
    goOn(
      scene,
      `
      device: fin
        finish a
      time: ${2 * limits.halfCloseTimeoutMs - 1}
        --
      time: 1
        end a: flush
        end device: flush`,
    );
  });

  test.each(['fin', 'DISCONNECT'])('by %s, and then by the other, while its node has its time', (first) => {
    const second = first === 'fin' ? 'DISCONNECT' : 'fin';
    goOn(
      served(),
      `
      device: ${first}
        ${first === 'fin' ? 'finish a' : 'a gets DISCONNECT'}
      device: ${first === 'fin' ? 'PINGREQ' : second}
        ${first === 'fin' ? '--' : 'finish a'}
      owner: end shutdown
        end a: flush
        end device: flush`,
    );
  });

  test.each([
    ['reset', 'reset', 'device-reset'],
    ['timeout', 'reset', 'device-timeout'],
  ])('by %s without DISCONNECT: the node’s link ends without one too, so that the Will fires', (cause, how, reason) => {
    goOn(
      served(),
      `
      device: ${cause}
        end a: ${how}
        end device: ${how}
      wire: closed
        ended: ${reason}`,
    );
  });

  test('by breaking WebSocket’s protocol: the Will fires, and what it was told is not overtaken', () => {
    goOn(
      served(),
      `
      device: websocket
        end a: reset
        end device: flush
      wire: closed
        ended: protocol-error`,
    );
  });

  test('while it is moved: both nodes are left by reset', () => {
    goOn(
      drainedAndAsked(),
      `
      device: reset
        end a: reset
        end b: reset
        end device: reset
      wire: closed
        ended: device-reset`,
    );
  });

  test('with DISCONNECT while another node is dialled: the old one gets it', () => {
    goOn(
      served(),
      `
      -- A move to b is under way when the device says goodbye: a still has the session, so a hears it.
      owner: move drain
        dial b
        answer moving
      device: DISCONNECT
        a gets DISCONNECT
        end b: reset
      a: fin
        end a: flush
        end device: flush`,
    );
  });

  test('by fin while it is moved: the next node is told', () => {
    goOn(
      drainedAndAsked(),
      `
      -- The move to b is past its first half when the device ends its side: b has accepted and hears what it said.
      device: PUBLISH t=x
      device: fin
      b: CONNACK present
        b gets PUBLISH t=x
        finish b
        a gets DISCONNECT
        end a: flush
        moved (drain) from a to b present after 0
      b: fin
        end b: flush
        end device: flush
      wire: closed
        ended: device-closed`,
    );
  });
});

describe('a DISCONNECT while no node has the session', () => {
  const lost = (options: SessionSceneOptions = {}): SessionScene =>
    goOn(
      served('CONNECT id=dev', options),
      `
      a: reset
        a lost: reset
        end a: reset
      device: PUBLISH q1 #1 t=x | DISCONNECT
      device: fin
      time: ${PACE_MS}
        dial b`,
    );

  test('waits with all else for the next node, though the device has closed', () => {
    goOn(
      lost(),
      `
      -- a is lost while the device says goodbye. The next node gets all that it said, goodbye included.
      b: opens
        b gets CONNECT id=dev
      b: CONNACK present
        b gets PUBLISH #1 q1 t=x
        b gets DISCONNECT
        finish b
        moved (link-lost) from a to b present after ${PACE_MS}
      b: fin
        end b: flush
        end device: flush
      wire: closed
        ended: device-closed`,
    );
  });

  test('that comes too late for any node ends it all the same', () => {
    const scene = lost();
    scene.nodes = [];
    scene.say('b', 'refuses');
    scene.pass(20_000);
    expect(scene.did().slice(-2)).toEqual([expect.stringContaining('to nowhere'), 'end device: flush']);
  });

  test('is not forgotten when the device resets behind it: neither node may fire its Will', () => {
    goOn(
      drainedAndAsked('CONNECT id=dev will=gone'),
      `
      device: DISCONNECT
      device: reset
        a gets DISCONNECT
        end a: flush
        b gets DISCONNECT
        end b: flush
        end device: reset`,
    );
  });
});

describe('it is ended from outside', () => {
  test.each([
    ['kicked', 152],
    ['taken-over', 142],
  ])('%s: the device is told why, and the link reset', (reason, code) => {
    goOn(
      served('CONNECT id=dev', v5),
      `
      owner: end ${reason}
        device gets DISCONNECT code=${code}
        end a: reset
        end device: flush
      owner: end shutdown
      wire: closed
        ended: ${reason}`,
    );
  });

  test.each([
    'shutdown',
    'proxy-drain',
    'proxy-rebalance',
  ])('%s with a server to go to: 0x9C with its Server Reference [MQTT 5.0 clause 4.13]', (reason) => {
    const scene = served('CONNECT id=dev will=gone', v5);
    goOn(
      scene,
      `
      owner: end ${reason} edge-2.example.com:8883
        device gets DISCONNECT code=156 serverReference:edge-2.example.com:8883
        a gets DISCONNECT
        end a: flush
        end device: flush`,
    );
  });

  test('a Server Reference that is more than the device takes is left out [MQTT-3.1.2-24]', () => {
    goOn(
      served('CONNECT id=dev maximumPacketSize:20', v5),
      `
      owner: end shutdown edge-2.example.com:8883
        device gets DISCONNECT code=156
        a gets DISCONNECT
        end a: flush
        end device: flush`,
    );
  });

  test.each([
    ['proxy-drain', 0x8b],
    ['proxy-rebalance', 0x98],
  ])('%s: the device is told to come again, and no Will fires because of us (rule 13)', (reason, code) => {
    goOn(
      served('CONNECT id=dev will=gone', v5),
      `
      owner: end ${reason}
        device gets DISCONNECT code=${code}
        a gets DISCONNECT
        end a: flush
        end device: flush`,
    );
  });

  test.each(['shutdown', 'immovable'])('%s: no Will fires because of us (rule 13)', (reason) => {
    goOn(
      served('CONNECT id=dev will=gone', v5),
      `
      owner: end ${reason}
        device gets DISCONNECT code=139
        a gets DISCONNECT
        end a: flush
        end device: flush`,
    );
  });

  test('shutdown during a move: neither here nor there', () => {
    goOn(
      drainedAndAsked('CONNECT id=dev will=gone'),
      `
      owner: end shutdown
        a gets DISCONNECT
        end a: flush
        b gets DISCONNECT
        end b: flush
        end device: flush`,
    );
  });

  test('shutdown in the middle of the device’s message: no goodbye falls into it', () => {
    const scene = served();
    scene.deviceSays(Buffer.of(0x30, 100, 0, 1, 0x74));
    scene.did();
    goOn(
      scene,
      `
      owner: end shutdown
        end a: reset
        end device: flush`,
    );
  });

  test('a device that does not take its last bytes is reset', () => {
    goOn(
      served(),
      `
      owner: end kicked
        end a: reset
        end device: flush
      time: ${limits.halfCloseTimeoutMs}
        end device: reset`,
    );
  });

  test('a device that breaks the standard is told so by its node [MQTT-3.1.0-2]', () => {
    goOn(
      served('CONNECT id=dev', v5),
      `
      device: CONNECT id=dev
        a gets CONNECT id=dev
      a: DISCONNECT code=130
        device gets DISCONNECT code=130
        end a: reset
        end device: flush
      wire: closed
        ended: node-closed`,
    );
  });
});

describe('a clean 3.1.1 session that has moved is dropped by the node that was asked to keep it (rule 2)', () => {
  const moved = (): SessionScene =>
    goOn(
      served('CONNECT id=dev clean will=gone', { takeoverFiresWill: false }),
      `
      -- A clean session moves from a to b, which was asked to keep it. Later b is told to drop it.
      owner: move drain to=b
        dial b
        answer moving
      b: opens
        a gets PINGREQ
      a: PINGRESP
        b gets CONNECT id=dev will=gone
      b: CONNACK
        a gets DISCONNECT
        end a: flush
        moved (drain) from a to b rebuilt after 0`,
    );
  const left = (): SessionScene =>
    goOn(
      moved(),
      `
      device: DISCONNECT
        b gets DISCONNECT
      b: fin
        end b: flush
        dial b
        end device: flush`,
    );

  test('once the device has left; without its Will', () => {
    goOn(
      left(),
      `
      b: opens
        b gets CONNECT id=dev clean
      b: CONNACK
        b gets DISCONNECT
        end b: flush
      wire: closed
        ended: device-closed`,
    );
  });

  test('and by the ones before it, which were asked too and had no part in what followed', () => {
    goOn(
      moved(),
      `
      -- It moves back to a. When the device has gone both nodes are told; b is down, which holds nobody up.
      owner: move drain to=a
        dial a
        answer moving
      a: opens
        b gets PINGREQ
      b: PINGRESP
        a gets CONNECT id=dev will=gone
      a: CONNACK
        b gets DISCONNECT
        end b: flush
        moved (drain) from b to a rebuilt after 0
      device: DISCONNECT
        a gets DISCONNECT
      a: fin
        end a: flush
        dial a
        dial b
        end device: flush
      b: refuses
      a: opens
        a gets CONNECT id=dev clean
      a: CONNACK
        a gets DISCONNECT
        end a: flush
      wire: closed
        ended: device-closed`,
    );
  });

  test('but not by one that has it again', () => {
    goOn(
      moved(),
      `
      -- From b to c, and back to b, which has it again: only the others are told to drop it.
      owner: move drain to=c
        dial c
        answer moving
      c: opens
        b gets PINGREQ
      b: PINGRESP
        c gets CONNECT id=dev will=gone
      c: CONNACK
        b gets DISCONNECT
        end b: flush
        moved (drain) from b to c rebuilt after 0
      owner: move drain to=b
        dial b
        answer moving
      b: opens
        c gets PINGREQ
      c: PINGRESP
        b gets CONNECT id=dev will=gone
      b: CONNACK present
        b gets PINGREQ
        c gets DISCONNECT
        end c: flush
        moved (drain) from c to b present after 0
      device: DISCONNECT
        b gets DISCONNECT
      b: fin
        end b: flush
        dial b
        end device: flush`,
    );
  });

  test('by every node that may have a copy, each on a link of its own at the same time', () => {
    const moves = (from: string, to: string) => `
      owner: move drain to=${to}
        dial ${to}
        answer moving
      ${to}: opens
        ${from} gets PINGREQ
      ${from}: PINGRESP
        ${to} gets CONNECT id=dev will=gone
      ${to}: CONNACK
        ${from} gets DISCONNECT
        end ${from}: flush
        moved (drain) from ${from} to ${to} rebuilt after 0`;
    goOn(
      moved(),
      `
      -- From b to c, and back to a: three nodes were asked to keep it.
      ${moves('b', 'c')}
      ${moves('c', 'a')}
      device: reset
        end a: reset
        dial a
        dial b
        dial c
        end device: reset`,
    );
  });

  test('or has vanished', () => {
    goOn(
      moved(),
      `
      device: reset
        end b: reset
        dial b
        end device: reset
      b: opens
        b gets CONNECT id=dev clean`,
    );
  });

  test('or vanished before the node had answered', () => {
    goOn(
      served('CONNECT id=dev clean'),
      `
      -- The device vanishes while b is asked. b may have begun a session by then, and is told to drop it.
      owner: move drain to=b
        dial b
        answer moving
      b: opens
        a gets PINGREQ
      a: PINGRESP
        b gets CONNECT id=dev
      device: reset
        end a: reset
        end b: reset
        dial b
        end device: reset`,
    );
  });

  test('not where its link was lost: the next node was asked for a new one', () => {
    goOn(
      lostAndAsked('CONNECT id=dev clean'),
      `
      b: CONNACK
        moved (link-lost) from a to b rebuilt after ${PACE_MS}
      device: DISCONNECT
        b gets DISCONNECT
      b: fin
        end b: flush
        end device: flush`,
    );
  });

  test.each([
    ['refuses', '--'],
    ['opens', 'b gets CONNECT id=dev clean'],
  ])('a node that %s and says no more is not waited for', (what, gets) => {
    goOn(
      left(),
      `
      b: ${what}
        ${gets}
      time: 5000
        end device: reset
        ${what === 'opens' ? 'end b: reset' : '--'}
      wire: closed
        ended: device-closed`,
    );
  });

  test.each(['fin', 'reset', 'PINGRESP'])('nor one that does not answer properly: %s', (what) => {
    goOn(
      left(),
      `
      b: opens
        b gets CONNECT id=dev clean
      b: ${what}
        end b: reset
      wire: closed
        ended: device-closed`,
    );
  });

  test('not on our own shutdown: the device comes back, and brings its clean session', () => {
    goOn(
      moved(),
      `
      owner: end shutdown
        b gets DISCONNECT
        end b: flush
        end device: flush`,
    );
  });

  test('never moved, never asked: nothing to drop', () => {
    goOn(
      served('CONNECT id=dev clean'),
      `
      device: DISCONNECT
        a gets DISCONNECT
      a: fin
        end a: flush
        end device: flush`,
    );
  });
});

test('an engine that closes every socket by itself leaves nothing counted, and no secret', () => {
  const scene = served();
  scene.say('owner', 'move drain');
  scene.did();
  scene.closes();
  expect([...scene.counted.values()]).toEqual([0, 0]);
  expect(Reflect.get(scene.forwarder?.session ?? {}, 'wiped')).toBe(true);
});
