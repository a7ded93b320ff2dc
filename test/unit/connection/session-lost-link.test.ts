import { describe, expect, test } from 'vitest';
import { limits } from './scene.ts';
import { goOn, PACE_MS, type SessionScene, type SessionSceneOptions, served } from './session-scene.ts';

// A link ended, and nobody knows yet whether the broker has ended it, or is gone (decision 9).

function asking(connect = 'CONNECT id=dev', options: SessionSceneOptions = {}): SessionScene {
  return served(connect, { evidence: 'ask', ...options });
}

describe('a node that lives: the end is its word, and goes on to the device as it was', () => {
  test.each([
    ['reset', 'node-reset'],
    ['error', 'node-timeout'],
  ])('%s', (cause, reason) => {
    const scene = goOn(
      asking('CONNECT id=dev clean'),
      `
      -- a closes the link and lives. The device sees what it would see at the broker, and nothing is sent elsewhere.
      device: SUBSCRIBE #1 t:1 | PUBLISH q1 #2 +/a=x
        a gets SUBSCRIBE #1 t:1
        a gets PUBLISH #2 q1 +/a=x
      a: ${cause}
        a lost: ${cause}
        end a: reset
        is a gone?
      device: PUBLISH t=x
      owner: verdict lives
        end device: reset
      wire: closed
        ended: ${reason}`,
    );
    expect(scene.counted.get('a')).toBe(0);
  });

  test('the device’s PINGREQ is not answered in its name', () => {
    goOn(
      asking(),
      `
      -- A PINGREQ comes while nobody knows whether a is gone: it is the broker's to answer.
      device: PINGREQ
        a gets PINGREQ
      a: fin
        a lost: fin
        is a gone?
      device: PINGREQ
      owner: verdict lives
        finish device`,
    );
  });

  test('with MQTT 5 nothing is said that the broker did not say', () => {
    goOn(
      asking('CONNECT id=dev authenticationMethod:SCRAM', { version: 5 }),
      `
      a: fin
        a lost: fin
        is a gone?
      owner: verdict lives
        finish device`,
    );
  });

  test('a clean session that has moved is not asked for again: by now the client id may be another connection’s', () => {
    goOn(
      asking('CONNECT id=dev clean'),
      `
      -- The session moved to b, then b ends it and lives. b is not told to drop anything.
      owner: move drain
        dial b
        answer moving
      b: opens
        a gets PINGREQ
      a: PINGRESP
        b gets CONNECT id=dev
      b: CONNACK
        a gets DISCONNECT
        end a: flush
        moved (drain) from a to b rebuilt after 0
      b: fin
        b lost: fin
        is b gone?
      owner: verdict lives
        finish device
      device: fin
        end b: flush
        end device: flush
      wire: closed
        ended: node-closed`,
    );
  });
});

describe('a node that lives, and has ended its own side only, may still read', () => {
  const finished = (options: SessionSceneOptions = {}): SessionScene =>
    goOn(
      asking('CONNECT id=dev clean', options),
      `
      a: fin
        a lost: fin
        is a gone?
      owner: verdict lives
        finish device`,
    );

  test('what the device says reaches it, before and after that is known, until the device ends its side', () => {
    const scene = goOn(
      asking('CONNECT id=dev clean'),
      `
      -- a ends its side. What the device says waits for the verdict, and goes to a then: no other node would be told either.
      a: PUBLISH q1 #1 t=1
        device gets PUBLISH #1 q1 t=1
      a: fin
        a lost: fin
        is a gone?
      device: PUBACK #1 | PUBLISH t=2
      owner: verdict lives
        finish device
        a gets PUBACK #1
        a gets PUBLISH t=2
      device: PUBLISH t=3
        a gets PUBLISH t=3
      device: fin
        end a: flush
        end device: flush
      wire: closed
        ended: node-closed`,
    );
    expect(scene.counted.get('a')).toBe(0);
  });

  test('nothing that the device says is answered in its name, or kept for another node', () => {
    const scene = goOn(
      finished(),
      `
      device: PINGREQ | PUBLISH q1 #1 t=x
        a gets PINGREQ
        a gets PUBLISH #1 q1 t=x
      owner: move drain
        answer later
      owner: supersede same
      device: DISCONNECT
        a gets DISCONNECT
        end a: flush
        end device: flush
      wire: closed
        ended: node-closed`,
    );
    expect(scene.connection.describe()).toBeUndefined();
  });

  test('DISCONNECT and the end of the device, said before it is known, go on behind all else', () => {
    goOn(
      asking('CONNECT id=dev clean'),
      `
      a: fin
        a lost: fin
        is a gone?
      device: PUBLISH t=x | DISCONNECT
      device: fin
      owner: verdict lives
        finish device
        a gets PUBLISH t=x
        a gets DISCONNECT
        end a: flush
        end device: flush`,
    );
  });

  test('a device that vanishes then leaves no goodbye', () => {
    goOn(
      finished(),
      `
      device: reset
        end a: reset
        end device: reset`,
    );
  });

  test.each([
    [[], limits.halfCloseTimeoutMs],
    [[true], 2 * limits.halfCloseTimeoutMs],
  ])('a device that does not end its side has its time, and more as long as it takes what waits: %j', (takes, ms) => {
    const scene = finished();
    scene.takes = [...takes];
    goOn(
      scene,
      `
      time: ${ms - 1}
      time: 1
        end a: flush
        end device: flush`,
    );
  });

  test('the device may be ended from outside: it has been told the end already', () => {
    goOn(
      finished({ version: 5 }),
      `
      owner: end kicked
        end a: flush
        end device: flush
      wire: closed
        ended: node-closed`,
    );
  });

  test('a takeover is for the newer connection: what waits is not said for the older one', () => {
    goOn(
      asking(),
      `
      a: fin
        a lost: fin
        is a gone?
      device: PUBLISH t=x
      owner: supersede same
        never mind
        end a: reset
        end device: flush`,
    );
  });
});

describe('a node that is gone: the session moves', () => {
  test('with what the device said since the node ended its side', () => {
    goOn(
      asking(),
      `
      a: fin
        a lost: fin
        is a gone?
      device: PUBLISH t=1 | PINGREQ
      owner: verdict refused
        end a: reset
        device gets PINGRESP
      time: ${PACE_MS}
        dial b
      b: opens
        b gets CONNECT id=dev
      b: CONNACK present
        b gets PUBLISH t=1
        moved (link-lost) from a to b present after ${PACE_MS}`,
    );
  });

  test('with all that the device said meanwhile, and its PINGREQ is answered (rules 6 and 16)', () => {
    const scene = goOn(
      asking(),
      `
      -- a resets and is found gone. What the device sent and its pings waited; b is sent all of it.
      device: PINGREQ | PUBLISH q1 #1 t=1
        a gets PINGREQ
        a gets PUBLISH #1 q1 t=1
      a: reset
        a lost: reset
        end a: reset
        is a gone?
      device: PUBLISH t=2 | PINGREQ
      time: 30
      owner: verdict refused
        device gets PINGRESP
        device gets PINGRESP
      device: PINGREQ
        device gets PINGRESP
      time: ${PACE_MS}
        dial b
      b: opens
        b gets CONNECT id=dev
      b: CONNACK present
        b gets PUBLISH #1 q1 dup t=1
        b gets PUBLISH t=2
        moved (link-lost) from a to b present after ${30 + PACE_MS}`,
    );
    expect(scene.forwarder?.history[0]?.evidence).toBe('refused');
  });

  test('TCP has given it up: nobody is asked', () => {
    const scene = goOn(
      asking(),
      `
      -- TCP has given the link up. That is proof by itself.
      a: timeout
        a lost: timeout
        end a: reset
      time: ${PACE_MS}
        dial b
      b: opens
        b gets CONNECT id=dev
      b: CONNACK
        moved (link-lost) from a to b rebuilt after ${PACE_MS}`,
    );
    expect(scene.forwarder?.history[0]?.evidence).toBe('tcp-timeout');
  });

  test('of a message that the device has in part there is no rest', () => {
    const scene = asking('CONNECT id=dev', { maxPacketBytes: 64 });
    const link = [...scene.links.keys()][0] ?? -1;
    const half = Buffer.concat([Buffer.of(0x30, 100, 0, 1, 0x74), Buffer.alloc(70)]);
    scene.connection.linkData(link, half, 0, half.length);
    goOn(
      scene,
      `
      -- The device has half of a message when a dies. The rest can never come, so it is reset.
      a: reset
        device gets 75 bytes
        a lost: reset
        end a: reset
        is a gone?
      owner: verdict together
        end device: reset
      wire: closed
        ended: node-reset`,
    );
  });
});

describe('while nobody knows', () => {
  const lost = (options: SessionSceneOptions = {}): SessionScene =>
    goOn(
      asking('CONNECT id=dev', options),
      `
      a: fin
        a lost: fin
        is a gone?`,
    );

  test('a flood of PINGREQs is answered at once: what is counted is bounded', () => {
    const scene = lost();
    scene.say('device', Array(18).fill('PINGREQ').join(' | '));
    expect(scene.did()).toEqual(Array(2).fill('device gets PINGRESP'));
  });

  test('what the device sends beyond the bound of the offline buffer is not read', () => {
    goOn(
      lost(),
      `
      device: PUBLISH t=${'x'.repeat(60)}
        hold device`,
    );
  });

  test('it is not moved on purpose', () => {
    goOn(
      lost(),
      `
      owner: move drain
        answer later`,
    );
  });

  test('a device that goes is gone', () => {
    const scene = goOn(
      lost(),
      `
      device: reset
        never mind
        end a: reset
        end device: reset
      owner: verdict refused
      wire: closed
        ended: device-reset`,
    );
    expect(scene.counted.get('a')).toBe(0);
  });

  test('a device that said DISCONNECT is served to the end where the node is gone', () => {
    goOn(
      lost(),
      `
      -- The device says goodbye while it is asked whether a is gone. It is; b gets the goodbye.
      device: PUBLISH q1 #1 t=x | DISCONNECT
      device: fin
      owner: verdict refused
        end a: reset
      time: ${PACE_MS}
        dial b
      b: opens
        b gets CONNECT id=dev
      b: CONNACK
        b gets PUBLISH #1 q1 t=x
        b gets DISCONNECT
        finish b
        moved (link-lost) from a to b rebuilt after ${PACE_MS}
      b: fin
        end b: flush
        end device: flush`,
    );
  });

  test('the device may be ended from outside', () => {
    goOn(
      lost({ version: 5 }),
      `
      owner: end taken-over
        device gets DISCONNECT code=142
        never mind
        end a: reset
        end device: flush`,
    );
  });

  test('and where nobody answers, there is nothing against the node', () => {
    goOn(
      lost(),
      `
      time: 4999
      time: 1
        is a gone?
        never mind
        finish device`,
    );
  });
});

describe('by configuration', () => {
  test('every session moves', () => {
    const scene = goOn(
      asking('CONNECT id=dev', { lostLink: 'move' }),
      `
      -- With lostLink: move no evidence is asked for.
      a: fin
        a lost: fin
        end a: reset
      time: ${PACE_MS}
        dial b
      b: opens
        b gets CONNECT id=dev
      b: CONNACK
        moved (link-lost) from a to b rebuilt after ${PACE_MS}`,
    );
    expect(scene.forwarder?.history[0]?.evidence).toBe('configured');
  });

  test('every end goes on to the device', () => {
    goOn(
      asking('CONNECT id=dev', { lostLink: 'pass' }),
      `
      a: timeout
        a lost: timeout
        end a: reset
        end device: reset
      wire: closed
        ended: node-timeout`,
    );
  });
});

test('a planned move that is under way when the old link ends is over', () => {
  goOn(
    asking(),
    `
    -- A drain has dialled b when a resets. The drain's attempt ends; it is asked whether a is gone.
    owner: move drain
      dial b
      answer moving
    a: reset
      a lost: reset
      end b: reset
      end a: reset
      is a gone?
    owner: verdict refused
    time: ${PACE_MS}
      dial b`,
  );
});
